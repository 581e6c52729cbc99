//! On the machine's own hierarchies, under a parent of each test's own.
