//! The distribution protocol: resolve, fetch, push, authentication, mirrors, resume.
//!
//! Streams bytes and owns no file. Images come by `import` and `load` until it is written.
