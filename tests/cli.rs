//! The commands of a person, run as a person runs them.
