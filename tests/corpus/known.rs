//! Expectations that do not hold, each with its reason. A required one may fail only where the mail itself shows that the
//! manifest is wrong about it.

/// A mail and a check that fails for it.
pub(super) struct Exception {
    /// The end of the file's name.
    pub(super) file: &'static str,
    /// The check's name.
    pub(super) check: &'static str,
    /// Why that is right, or must wait.
    pub(super) reason: &'static str,
    /// The mail itself contradicts the manifest; only then may a required check fail.
    pub(super) manifest_is_wrong: bool,
}

/// The exception for a check of a file.
pub(super) fn exception(file: &str, check: &str) -> Option<&'static Exception> {
    EXCEPTIONS.iter().find(|exception| file.ends_with(exception.file) && exception.check == check)
}

const fn known(file: &'static str, check: &'static str, reason: &'static str) -> Exception {
    Exception { file, check, reason, manifest_is_wrong: false }
}

const fn wrong(file: &'static str, check: &'static str, reason: &'static str) -> Exception {
    Exception { manifest_is_wrong: true, ..known(file, check, reason) }
}

pub(super) const EXCEPTIONS: &[Exception] = &[
    known(
        "openpgp-encrypted-partially-signed-attachments.eml",
        "good inside",
        "old signature: version 3, refused by Sequoia's policy; said in `problems`",
    ),
    known(
        "comm-central--bugmail8.eml",
        "answer",
        "written by Bugzilla, as X-Bugzilla-Reason says: a case, and a person answers",
    ),
    known("comm-central--bugmail12.eml", "answer", "as above"),
    known("spamassassin--6.eml", "kind", "a bounce of qmail, so it is called one"),
    wrong(
        "flufl.bounce--groupwise_03.eml",
        "no answer (hard)",
        "an answer typed in Outlook, with In-Reply-To, a quotation and a request for a receipt; nothing in its header is a machine's",
    ),
    known("flufl.bounce--groupwise_03.eml", "kind (hard)", "as above"),
    known("flufl.bounce--qmail_08.eml", "kind", "an automatic reply by its own word, Precedence: auto_reply"),
    known(
        "flufl.bounce--simple_35.eml",
        "from",
        "an address with two @, which the oracle cuts and psirtd shows and refuses",
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
    known("pgp-signed/mail-parser--015.eml", "unknown key", "the signature is the word \"invalid\""),
    known("mikel-mail--sig_only_email.eml", "unknown key", "a broken signature packet"),
    known(
        "mimetreeparser--openpgp-signed-base64-mailman-footer.eml",
        "unknown key",
        "old signature: version 3, refused by Sequoia's policy; said in `problems`",
    ),
    known(
        "pgp-signed/postal-mime--mimetorture.eml",
        "unknown key",
        "old signature: version 3, refused by Sequoia's policy, and so called bad in the label of the forwarded mail",
    ),
    known(
        "gopenpgp--scenario_02.asc",
        "blob signed",
        "two signers, and the desk knows one of them only: stricter than its project",
    ),
    known("rnp--message.enc-password", "blob opened", "encrypted to a password, and the desk has none"),
    known("rnp--message.txt.asc", "blob signed", "a detached signature without the file that it is about"),
    known(
        "rnp--message.txt.enc-aead-eax",
        "blob opened",
        "GnuPG's own packet, which RFC 9580 does not know; flagged, and so optional",
    ),
    known(
        "rnp--message.txt.enc-aead-ocb",
        "blob opened",
        "GnuPG's own packet, which RFC 9580 does not know; flagged, and so optional",
    ),
    known(
        "rnp--message.txt.enc-eg-bad",
        "blob opened",
        "ElGamal, which the crypto library does not know; flagged, and so optional",
    ),
    known(
        "rnp--message.txt.enc-malf-3",
        "blob opened",
        "a malformed number, which Sequoia does not read; flagged",
    ),
    known(
        "rnp--message.txt.enc-malf-4",
        "blob opened",
        "a malformed number, which Sequoia does not read; flagged",
    ),
    known(
        "rnp--message.txt.enc-malf-5",
        "blob opened",
        "a malformed number, which Sequoia does not read; flagged",
    ),
    known(
        "rnp--message.txt.marker",
        "blob signed",
        "signed by RSA-1024, which Sequoia's policy refuses; said in `problems`",
    ),
    known(
        "rnp--message.txt.marker.asc",
        "blob signed",
        "signed by RSA-1024, which Sequoia's policy refuses; said in `problems`",
    ),
    known(
        "rpgp--gnupg-v1-001.asc",
        "blob signed",
        "signed by RSA-1024, which Sequoia's policy refuses; said in `problems`",
    ),
    known(
        "rpgp--gnupg-v1-003.asc",
        "blob signed",
        "signed by RSA-1024, which Sequoia's policy refuses; said in `problems`",
    ),
    known(
        "rpgp--gnupg-v1-002.asc",
        "blob opened",
        "ElGamal, which the crypto library does not know; flagged, and so optional",
    ),
    known("rpgp--pgp-10-0-007.asc", "blob opened", "IDEA, which the crypto library does not know; flagged"),
    known(
        "rpgp--gnupg-v2-1-5-001.asc",
        "blob opened",
        "must wait: `keyring.rs` cannot unlock this P-256 key with its right passphrase",
    ),
    known(
        "rpgp--gnupg-v2-1-5-001.asc",
        "blob signed",
        "must wait: `keyring.rs` cannot unlock this P-256 key with its right passphrase",
    ),
];
