//! The JSON-lines log: writer (for the shim) and reader (for the daemon).
