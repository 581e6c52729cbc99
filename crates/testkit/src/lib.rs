//! Real kernels, real daemons and real clients for tests.
