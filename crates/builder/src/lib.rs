//! Dockerfile -> instructions -> graph -> cached, concurrent execution; the BuildKit protocols.
//!
//! Parser and graph will be pure modules. Nothing is built yet.
