//! Against real Dovecot and real Postfix.
