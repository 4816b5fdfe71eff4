//! Expectations that do not hold, each with its reason.

/// A mail and a check that fails for it.
pub(super) struct Exception {
    /// The end of the file's name.
    pub(super) file: &'static str,
    /// The check's name.
    pub(super) check: &'static str,
    /// Why that is right, or must wait.
    #[allow(dead_code)]
    pub(super) reason: &'static str,
}

pub(super) fn is_known(file: &str, check: &str) -> bool {
    EXCEPTIONS.iter().any(|exception| file.ends_with(exception.file) && exception.check == check)
}

const fn known(file: &'static str, check: &'static str, reason: &'static str) -> Exception {
    Exception { file, check, reason }
}

pub(super) const EXCEPTIONS: &[Exception] = &[
    known("comm-central--bob-enc-html-nbsp.eml", "no-decrypt", "it decrypts, which the manifest allows"),
    known(
        "openpgp-encrypted-partially-signed-attachments.eml",
        "good inside",
        "old signature: version 3, refused by Sequoia's policy; said in `problems`",
    ),
    known("spamassassin--6.eml", "kind", "a bounce of qmail, so it is called one"),
    known(
        "chatmail--ndn_with_attachment.eml",
        "no-decrypt",
        "the ciphertext is in the mail that came back, and that was ours",
    ),
    known(
        "flufl.bounce--groupwise_03.eml",
        "no answer (hard)",
        "a person's reply with a stranger's pictures: nothing tells that it is automatic",
    ),
    known("flufl.bounce--groupwise_03.eml", "kind (hard)", "as above"),
    known("flufl.bounce--qmail_08.eml", "kind", "an automatic reply by its own word, Precedence: auto_reply"),
    known(
        "flufl.bounce--simple_35.eml",
        "kind (hard)",
        "the words of a full mailbox are not known; its address cannot be answered",
    ),
    known(
        "flufl.bounce--simple_35.eml",
        "from",
        "an address with two @, which the oracle cuts and psirtd shows and refuses",
    ),
    known(
        "flufl.bounce--simple_38.eml",
        "kind",
        "a disposition notification, which is no bounce but automatic",
    ),
    known(
        "sisimai--lhost-apachejames-01.eml",
        "kind (hard)",
        "nothing in the header tells; the robot's address takes away the answer, the case stays",
    ),
    known(
        "sisimai--lhost-verizon-02.eml",
        "kind (hard)",
        "nothing in the header tells; the robot's address takes away the answer, the case stays",
    ),
    known("sisimai--lhost-fml-02.eml", "kind", "a list manager's refusal, with the list's header"),
    known(
        "comm-central--fwd-unsigned-encrypted.eml",
        "subject",
        "says something about a forwarded mail, not about this one",
    ),
    known(
        "mimetreeparser--crlf-encrypted-with-signature.eml",
        "decrypt",
        "declared quoted-printable, but is not: decoding it breaks the armor",
    ),
    known(
        "mimetreeparser--forward-openpgp-signed-encrypted-no-from.eml",
        "good inside",
        "says something about a forwarded mail, not about this one, and is over SHA-1",
    ),
    known(
        "mimetreeparser--forward-openpgp-signed-encrypted.eml",
        "good inside",
        "says something about a forwarded mail, not about this one, and is over SHA-1",
    ),
    known(
        "mimetreeparser--openpgp-signed-encrypted-two-attachments.eml",
        "good inside",
        "old signature: version 3, refused by Sequoia's policy; said in `problems`",
    ),
    known(
        "mimetreeparser--openpgp-signed-encrypted.eml",
        "good inside",
        "signature over SHA-1, refused by Sequoia's policy; said in `problems`",
    ),
    known(
        "mimetreeparser--signed-forward-openpgp-signed-encrypted.eml",
        "good inside",
        "signature over SHA-1, refused by Sequoia's policy; said in `problems`",
    ),
    known(
        "mimetreeparser--signed-forward-openpgp-signed-encrypted.eml",
        "good",
        "signature over SHA-1, refused by Sequoia's policy; said in `problems`",
    ),
    known(
        "comm-central--fwd-signed.eml",
        "unknown key",
        "says something about a forwarded mail, not about this one",
    ),
    known("pgp-signed/mail-parser--015.eml", "unknown key", "the signature is the word \"invalid\""),
    known("mikel-mail--sig_only_email.eml", "unknown key", "a broken signature packet"),
    known(
        "mimetreeparser--openpgp-signed-base64-mailman-footer.eml",
        "unknown key",
        "old signature: version 3, refused by Sequoia's policy; said in `problems`",
    ),
    known(
        "mimetreeparser--openpgp-signed-no-protocol.eml",
        "unknown key",
        "its frame says application/broken-signature",
    ),
    known(
        "pgp-signed/postal-mime--mimetorture.eml",
        "unknown key",
        "says something about a forwarded mail, not about this one",
    ),
];
