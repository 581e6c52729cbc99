//! Kubernetes' container runtime interface as an adapter on `engine`.
//!
//! Knows gRPC and sandboxes; decides nothing itself. Not written yet.
