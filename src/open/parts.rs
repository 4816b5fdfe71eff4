//! The walk through the parts of a mail: text to read, attachments to keep, OpenPGP to open.
//!
//! # Invariants
//! * Ciphertext that is not the whole message is opened under a label: decrypted text never runs into the text around it.
//! * Two shapes in which mail programs and servers break PGP/MIME are taken for the whole message, and only when nothing
//!   readable stands beside the ciphertext.
//! * What a mail repeats of its protected header for old mail programs is not shown, and only inside an encrypted part.
//! * A forwarded mail says nothing about the mail that carries it: not its subject, not its author, not its signature.

use mail_parser::{Message as Parsed, MessagePart, MimeHeaders, PartType};

use crate::domain::message::{Ciphertext, Encryption, Message, ReturnPath};
use crate::domain::signature::{Signature, Source};
use crate::open::armor::{self, Content, Piece};
use crate::open::header::{Protection, clean_line};
use crate::open::{MAX_TEXT, Opening, Place, Room, mime, pgp, veil};

/// Encryption, signatures and forwarded mails wrapped in each other are followed this far.
const MAX_LAYERS: usize = 4;
/// Larger attached keys are not looked at, and no more than a few.
const MAX_OFFERED_CERT: usize = 64 * 1024;
const MAX_OFFERED_CERTS: usize = 4;
/// No more signatures of attached files are checked.
const MAX_SIGNED_FILES: usize = 8;
/// What Proton's bridge writes where Exchange leaves the text empty.
const EMPTY_MESSAGE: &str = "Empty Message";

impl Opening<'_> {
    pub(super) fn part(&mut self, parsed: &Parsed<'_>, id: u32, raw: &[u8], place: Place) {
        let Some(part) = parsed.part(id) else { return };
        if place.depth > mime::MAX_DEPTH || place.layers > MAX_LAYERS {
            self.message.problems.push("nested too deep: the rest is not taken apart".to_owned());
            self.attach(
                Some("nested.eml".to_owned()),
                "application/octet-stream",
                mime::entity(part, raw).to_vec(),
            );
            return;
        }
        match &part.body {
            // the root of what came out of an OpenPGP layer
            _ if id == 0 && place.depth > 0 && mime::is_wrapper(part) => {
                self.wrapped(&mime::bytes_of(part, raw), place);
            }
            PartType::Multipart(children) => self.multipart(parsed, part, children, raw, place),
            PartType::Text(_) | PartType::Html(_) if !mime::is_attachment(part) => {
                // patches are sent inline: shown, and kept as the files they are
                let is_file = part.attachment_name().is_some() && !self.body.is_empty();
                if is_file {
                    self.leaf(part, raw, place);
                }
                if !(is_file && armor::content(&mime::bytes_of(part, raw), false) == Content::Message) {
                    self.text(part, raw, place);
                }
            }
            // so some programs sent inline OpenPGP before there was PGP/MIME
            _ if mime::media_type(part) == "application/pgp" && !mime::is_attachment(part) => {
                let text = mime::bytes_of(part, raw);
                self.pieces(armor::pieces(&String::from_utf8_lossy(&text)), place);
            }
            _ => self.leaf(part, raw, place),
        }
    }

    fn multipart(
        &mut self,
        parsed: &Parsed<'_>,
        part: &MessagePart<'_>,
        children: &[u32],
        raw: &[u8],
        place: Place,
    ) {
        let parts: Vec<&MessagePart<'_>> = children.iter().filter_map(|id| parsed.part(*id)).collect();
        match (mime::media_type(part).as_str(), parts.as_slice(), children) {
            ("multipart/encrypted", [_, ciphertext, ..], [_, _, rest @ ..]) => {
                self.encrypted(&mime::bytes_of(ciphertext, raw), place.inside(rest.is_empty()));
                // a list's footer, say
                for child in rest {
                    self.part(parsed, *child, raw, place.inside(false));
                }
            }
            // so Exchange breaks PGP/MIME up
            ("multipart/mixed", [text, version, ciphertext], _)
                if mime::media_type(version) == "application/pgp-encrypted"
                    && mime::text_of(text, raw)
                        .is_some_and(|text| matches!(text.trim(), "" | EMPTY_MESSAGE)) =>
            {
                self.encrypted(&mime::bytes_of(ciphertext, raw), place);
            }
            ("multipart/signed", [signed, signature, ..], [_, _, rest @ ..])
                if is_signature(part, signature, "application/pgp-signature")
                    // whatever it is called: a signature is good by what it holds
                    || armor::content(&mime::bytes_of(signature, raw), false) == Content::Signature =>
            {
                self.detached(signed, signature, raw, place.inside(rest.is_empty()));
                for child in rest {
                    self.part(parsed, *child, raw, place.inside(false));
                }
            }
            ("multipart/signed", [_, signature], [signed, other])
                if is_signature(part, signature, "application/pkcs7-signature")
                    || is_signature(part, signature, "application/x-pkcs7-signature") =>
            {
                self.part(parsed, *signed, raw, place.inside(true));
                self.part(parsed, *other, raw, place.inside(false));
            }
            ("multipart/alternative", ..) => self.alternative(parsed, children, raw, place),
            (media_type, ..) => {
                if media_type == "multipart/encrypted" {
                    self.note_encryption(place);
                    self.message.problem.get_or_insert("encrypted, but without its ciphertext".to_owned());
                }
                let children = match children {
                    [_, shown @ ..] if place.secret && mime::is_display(parsed, part, &parts) => shown,
                    all => all,
                };
                let files = self.message.attachments.len();
                for child in children {
                    self.part(parsed, *child, raw, place.inside(children.len() == 1));
                }
                // once for all parts of a layer
                if std::ptr::eq(part, parsed.root_part()) {
                    self.signed_files(files, place);
                }
            }
        }
    }

    /// RFC 8551 §3.1: a mail that was wrapped to protect its header is the mail itself.
    fn wrapped(&mut self, mail: &[u8], place: Place) {
        let veiled = veil::drawn(mail);
        let limit = mime::beyond_limits(mail);
        let parsed = if limit.is_none() { mime::parser().parse(veiled.as_ref()) } else { None };
        let Some(parsed) = parsed else {
            self.message.problems.extend(limit.map(|limit| format!("wrapped mail not taken apart: {limit}")));
            self.attach(Some("wrapped.eml".to_owned()), "message/rfc822", mail.to_vec());
            return;
        };
        self.protected(&parsed, Protection::Full, place);
        self.part(&parsed, 0, mail, place.inside(true));
    }

    /// Files with a signature beside them: `poc.py` and `poc.py.asc`. Each is the word of its author about a part at most.
    fn signed_files(&mut self, first: usize, place: Place) {
        let files = self.message.attachments.get(first..).unwrap_or_default();
        let signatures = files.iter().filter(|file| {
            armor::content(&file.bytes, is_openpgp_name(file.name.as_deref())) == Content::Signature
        });
        let signed = signatures.filter_map(|signature| {
            let (stem, _) = signature.name.as_deref()?.rsplit_once('.')?;
            let file = files.iter().find(|file| file.name.as_deref() == Some(stem))?;
            Some(pgp::verify_detached(&file.bytes, &signature.bytes, self.keyring, self.now))
        });
        let verdicts: Vec<Vec<pgp::Verdict>> = signed.take(MAX_SIGNED_FILES).collect();
        for of_one in verdicts {
            self.signed(of_one, place.inside(false));
        }
    }

    /// An entity and the signature beside it (RFC 3156 §5).
    fn detached(&mut self, signed: &MessagePart<'_>, signature: &MessagePart<'_>, raw: &[u8], place: Place) {
        let entity = mime::entity(signed, raw).to_vec();
        let signature = mime::bytes_of(signature, raw);
        let verdicts = pgp::verify_detached(&mime::with_crlf(&entity), &signature, self.keyring, self.now);
        self.signed(verdicts, place);
        let layers = place.layers.saturating_add(1);
        self.inner(&entity, Place { layers, ..place.inside(true) });
    }

    /// The best readable form, which is the plain one; other forms of the same are not shown.
    fn alternative(&mut self, parsed: &Parsed<'_>, children: &[u32], raw: &[u8], place: Place) {
        let plain = children.iter().find(|id| {
            parsed.part(**id).is_some_and(|part| {
                mime::media_type(part) == "text/plain"
                    && mime::text_of(part, raw).is_some_and(|text| !text.trim().is_empty())
            })
        });
        if let Some(plain) = plain {
            let others = children.iter().filter(|id| *id != plain);
            let kept: Vec<u32> = others
                .filter(|id| parsed.part(**id).is_some_and(|part| part.is_multipart() || !part.is_text()))
                .copied()
                .collect();
            // what is kept beside it is not signed with it
            self.part(parsed, *plain, raw, place.inside(kept.is_empty()));
            for id in kept {
                self.attachments_of(parsed, id, raw, place.inside(false));
            }
        } else {
            for child in children {
                self.part(parsed, *child, raw, place.inside(children.len() == 1));
            }
        }
    }

    /// The attachments in a form that is not shown (`multipart/related` beside plain text).
    fn attachments_of(&mut self, parsed: &Parsed<'_>, id: u32, raw: &[u8], place: Place) {
        let Some(part) = parsed.part(id) else { return };
        match &part.body {
            _ if place.depth > mime::MAX_DEPTH => {}
            PartType::Multipart(children) => {
                for child in children {
                    self.attachments_of(parsed, *child, raw, place.inside(false));
                }
            }
            PartType::Text(_) | PartType::Html(_) if !mime::is_attachment(part) => {}
            _ => self.leaf(part, raw, place),
        }
    }

    /// An OpenPGP message as a MIME part.
    fn encrypted(&mut self, ciphertext: &[u8], place: Place) {
        match self.decrypt(ciphertext) {
            Ok(opened) => self.opened_entity(opened, place),
            Err(problem) => {
                self.note_encryption(place);
                self.not_opened(problem, ciphertext);
            }
        }
    }

    fn opened_entity(&mut self, opened: pgp::Opened, place: Place) {
        let secret = place.secret || opened.ciphertext.is_some();
        if !secret {
            self.message.problems.push("it poses as encrypted, but is not".to_owned());
        }
        let layers = place.layers.saturating_add(1);
        self.within(opened, place, |opening, plaintext| {
            opening.label("decrypted part", place.whole);
            opening.inner(&plaintext, Place { secret, layers, ..place.inside(true) });
            opening.label("end of the decrypted part", place.whole);
        });
    }

    /// Takes in what lies inside an OpenPGP message. A signature around a ciphertext says nothing about the text: anybody can
    /// sign what somebody else encrypted. Only one inside says that its author knows what he sent.
    fn within(&mut self, opened: pgp::Opened, place: Place, take_in: impl FnOnce(&mut Self, Vec<u8>)) {
        let pgp::Opened { plaintext, ciphertext, verdicts, old_cipher } = opened;
        let Some(id) = ciphertext else {
            self.signed(verdicts, place);
            take_in(self, plaintext);
            return;
        };
        self.note_encryption(place);
        self.message.decrypted = true;
        let old = old_cipher.map(|cipher| format!("encrypted with an outdated cipher: {cipher}"));
        self.message.problems.extend(old);
        let around = std::mem::take(&mut self.message.signature);
        let is_good = |signature: &Signature| matches!(signature, Signature::Good(_));
        let alone = pgp::weigh(verdicts.clone(), self.message.author(), true, self.keyring);
        self.signed(verdicts, place);
        let before = self.message.ciphertexts.len();
        take_in(self, plaintext);
        let inside = std::mem::take(&mut self.message.signature);
        let by_author = is_good(&alone) || (place.whole && is_good(&inside));
        self.message.ciphertexts.push(Ciphertext { id, by_author });
        self.message.signature = match (around, inside) {
            (Signature::None, inside) => inside,
            (_, inside) if place.whole && inside != Signature::None => inside,
            // what lies in it, however deep, is his as well
            (around, _) if by_author && self.all_by_author(before) => around,
            (around, _) => self.around(around),
        };
    }

    fn all_by_author(&self, from: usize) -> bool {
        self.message.ciphertexts.iter().skip(from).all(|ciphertext| ciphertext.by_author)
    }

    /// What a signature is worth that is around a ciphertext.
    fn around(&mut self, signature: Signature) -> Signature {
        match signature {
            Signature::Good(_) | Signature::Offered { .. } | Signature::OtherAddress { .. } => {
                self.message.problems.push("its signature is around a ciphertext, not inside".to_owned());
                Signature::Partial { signer: signature.signer().map(str::to_owned) }
            }
            other => other,
        }
    }

    fn text(&mut self, part: &MessagePart<'_>, raw: &[u8], place: Place) {
        let Some(text) = mime::shown_text(part, raw, place.secret) else { return };
        if text.len() > MAX_TEXT && !text.contains(armor::FRAME) {
            self.long_text(&text, mime::bytes_of(part, raw));
            return;
        }
        let mut pieces = armor::pieces(&text);
        if let PartType::Html(html) = &part.body {
            self.message.reads_html = true;
            self.attach(Some("body.html".to_owned()), "application/octet-stream", mime::bytes_of(part, raw));
            let in_html = armor::pieces_of_html(&veil::lifted(html));
            if !in_html.is_empty() {
                pieces = in_html;
            }
        }
        if pieces.iter().all(|piece| matches!(piece, Piece::Text(_))) {
            self.say(&text);
        } else {
            // what surrounds a block in HTML is not all seen
            self.pieces(pieces, place.inside(!matches!(part.body, PartType::Html(_))));
        }
    }

    /// A text with OpenPGP in it, in order.
    fn pieces(&mut self, pieces: Vec<Piece>, place: Place) {
        let place = place.inside(pieces.len() == 1);
        for piece in pieces {
            if matches!(piece, Piece::Text(_)) {
                self.inline(piece, place);
            } else {
                self.label("inline OpenPGP block", place.whole);
                self.inline(piece, place);
                self.label("end of the inline OpenPGP block", place.whole);
            }
        }
    }

    fn inline(&mut self, piece: Piece, place: Place) {
        match piece {
            Piece::Text(text) => self.say(text.trim_end()),
            Piece::Message(block) => match self.decrypt(block.as_bytes()) {
                Ok(opened) => self.within(opened, place, |opening, plaintext| {
                    opening.say(&String::from_utf8_lossy(&plaintext));
                }),
                Err(problem) => {
                    self.note_encryption(place);
                    self.not_opened(problem, block.as_bytes());
                }
            },
            Piece::Signed(block) => match pgp::verify_cleartext(block.as_bytes(), self.keyring, self.now) {
                Ok(opened) => {
                    self.signed(opened.verdicts, place);
                    self.say(&String::from_utf8_lossy(&opened.plaintext));
                }
                Err(why) => {
                    self.signed(vec![pgp::Verdict::malformed(why)], place);
                    self.say(&block);
                }
            },
        }
    }

    /// What is kept as a file.
    fn leaf(&mut self, part: &MessagePart<'_>, raw: &[u8], place: Place) {
        let bytes = mime::bytes_of(part, raw);
        let media_type = mime::media_type(part);
        let named = part
            .attachment_name()
            .map(|name| clean_line(&veil::lifted(name)))
            .filter(|name| !name.is_empty());
        if let Some(said) = smime(&media_type) {
            self.message.problems.push(said.to_owned());
            if media_type.ends_with("-mime") {
                self.message.problem.get_or_insert(said.to_owned());
            }
        }
        let content = armor::content(&bytes, is_openpgp_name(named.as_deref()));
        if (media_type == "application/pgp-keys" || content == Content::Key)
            && bytes.len() <= MAX_OFFERED_CERT
            && self.message.offered_certs.len() < MAX_OFFERED_CERTS
        {
            self.message.offered_certs.push((Source::Attached, bytes.clone()));
        }
        if media_type == "message/rfc822" || mime::starts_with_mime_header(&bytes) {
            self.forwarded(&bytes, media_type == "message/rfc822", place);
        }
        match content {
            // what has no name is no file
            Content::Message if named.is_none() && !mime::is_attachment(part) => {
                self.encrypted(&bytes, place)
            }
            Content::Key | Content::Signature => self.attach(named, &media_type, bytes),
            Content::Other if encrypted_name(named.as_deref()).is_none() => {
                self.attach(named, &media_type, bytes);
            }
            Content::Message | Content::Other => {
                let meant = content == Content::Message;
                self.encrypted_file(named, &media_type, bytes, meant, place);
            }
        }
    }

    /// A file that is encrypted by itself. What comes out is a file again, or a whole entity when the frame around it was lost.
    /// Only its name says so of what does not look like a message (`meant` is false): it may be some other file.
    fn encrypted_file(
        &mut self,
        named: Option<String>,
        media_type: &str,
        bytes: Vec<u8>,
        meant: bool,
        place: Place,
    ) {
        let place = place.inside(false);
        match self.decrypt(&bytes) {
            Ok(opened)
                if opened.plaintext.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-")) =>
            {
                self.opened_entity(opened, place);
            }
            Ok(opened) => self.within(opened, place, |opening, plaintext| {
                let stem = encrypted_name(named.as_deref()).filter(|stem| !stem.is_empty());
                let name = stem.map(str::to_owned).or(named);
                opening.attach(name, "application/octet-stream", plaintext);
            }),
            Err(problem) => {
                if meant || !problem.starts_with("damaged") {
                    self.note_encryption(place);
                    self.message.problem.get_or_insert(problem);
                } else {
                    self.message.problems.push(format!("encrypted file: {problem}"));
                }
                self.attach(named, media_type, bytes);
            }
        }
    }

    /// A forwarded mail stays an attachment as it came, and can be read beside it. The original in a server's report is no
    /// forwarded mail: somebody here wrote it, and it is only said of it that it cannot be read. What only looks like an entity (`meant` is false) is a file unless it is encrypted.
    fn forwarded(&mut self, bytes: &[u8], meant: bool, place: Place) {
        let layers = place.layers.saturating_add(1);
        let returned = self.message.marks.report.is_some() || self.message.return_path == ReturnPath::Null;
        if layers > MAX_LAYERS || mime::beyond_limits(bytes).is_some() {
            return;
        }
        let Some(mails) = self.room.mails.checked_sub(1) else { return };
        let room = Room { mails, ..self.room };
        let (keyring, now) = (self.keyring, self.now);
        let mut opening = Opening::of(bytes, keyring, now, room);
        opening.mail(bytes, Place { whole: true, secret: false, depth: 0, layers });
        self.room = opening.room;
        let inner = opening.finish();
        if returned {
            if let Some(why) = inner.problem.filter(|_| inner.encryption != Encryption::None) {
                self.note_encryption(place.inside(false));
                self.message.problem.get_or_insert(format!("the mail that came back: {why}"));
            }
            return;
        }
        if !meant && !inner.decrypted {
            return;
        }
        self.message.problems.extend(inner.problem.iter().map(|why| format!("forwarded mail: {why}")));
        self.body.push(format!("[forwarded mail: {}]", about(&inner)));
        self.body.push(inner.text);
        self.body.push("[end of the forwarded mail]".to_owned());
        if inner.decrypted {
            self.note_encryption(place.inside(false));
            self.message.decrypted = true;
            let theirs = inner.ciphertexts.into_iter();
            self.message.ciphertexts.extend(theirs.map(|theirs| Ciphertext { by_author: false, ..theirs }));
            let signature = std::mem::take(&mut self.message.signature);
            self.message.signature = self.around(signature);
            self.message.attachments.extend(inner.attachments);
        }
        if let (Signature::None, Signature::Good(by)) = (&self.message.signature, &inner.signature) {
            self.message.signature = Signature::Partial { signer: Some(by.fingerprint().to_owned()) };
        }
    }

    fn note_encryption(&mut self, place: Place) {
        let message = &mut self.message;
        message.encryption = match (place.whole, message.encryption) {
            (true, Encryption::None) | (_, Encryption::Whole) => Encryption::Whole,
            _ => Encryption::Part,
        };
    }
}

/// What the label of a forwarded mail says.
fn about(inner: &Message) -> String {
    // whoever wrote it must not be able to write the rest of the label as well
    let quoted = |text: &str| clean_line(text).replace(['"', '[', ']'], "'");
    let from =
        inner.author().map_or_else(|| "an unknown author".to_owned(), |from| quoted(&from.to_string()));
    let subject = inner.subject.as_deref().map_or_else(|| "no subject".to_owned(), quoted);
    let opened = if inner.decrypted { ", decrypted" } else { "" };
    format!("\"{subject}\", said to be from {from}, signature: {}{opened}", inner.signature.word())
}

/// The second part of a `multipart/signed` is a signature of this kind, by its own word or by that of the frame.
fn is_signature(frame: &MessagePart<'_>, signature: &MessagePart<'_>, kind: &str) -> bool {
    match mime::parameter(frame, "protocol") {
        Some(protocol) => protocol.eq_ignore_ascii_case(kind),
        None => mime::media_type(signature) == kind,
    }
}

/// The name of an encrypted file without what says that it is encrypted.
fn encrypted_name(name: Option<&str>) -> Option<&str> {
    let (stem, suffix) = name?.rsplit_once('.')?;
    ["gpg", "pgp"].iter().any(|known| suffix.eq_ignore_ascii_case(known)).then_some(stem)
}

/// A name that OpenPGP files have.
fn is_openpgp_name(name: Option<&str>) -> bool {
    let suffix = name.and_then(|name| name.rsplit_once('.')).map(|(_, suffix)| suffix);
    suffix.is_some_and(|suffix| {
        ["asc", "gpg", "pgp", "sig", "key"].iter().any(|known| suffix.eq_ignore_ascii_case(known))
    })
}

/// What S/MIME is to a desk with an OpenPGP key.
fn smime(media_type: &str) -> Option<&'static str> {
    match media_type {
        "application/pkcs7-signature" | "application/x-pkcs7-signature" => {
            Some("S/MIME signature: not checked, psirtd knows OpenPGP only")
        }
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => {
            Some("S/MIME message: not opened, psirtd knows OpenPGP only")
        }
        _ => None,
    }
}
