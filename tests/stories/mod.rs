//! Conversations: mails in, clock forward, letters out.
