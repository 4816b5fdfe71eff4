//! Real mails written by others.
