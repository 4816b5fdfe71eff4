//! A canary in every report, and nowhere it must not be.
