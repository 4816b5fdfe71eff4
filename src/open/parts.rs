//! The walk through the parts of a mail: text to read, attachments to keep, OpenPGP to open.
//!
//! # Invariants
//! * Ciphertext that is not the whole message is opened under a label: decrypted text never runs into the text around it.
//! * Two shapes in which mail programs and servers break PGP/MIME are taken for the whole message, and only when nothing
//!   readable stands beside the ciphertext.
//! * A forwarded mail says nothing about the mail that carries it: not its subject, not its author, not its signature.

use mail_parser::{Message as Parsed, MessagePart, MimeHeaders, PartType};

use crate::domain::message::{Encryption, Message, ReturnPath, Signature};
use crate::open::armor::{self, Piece};
use crate::open::header::clean_line;
use crate::open::{MAX_TEXT, Opening, Place, Room, mime, pgp, veil};

/// Encryption, signatures and forwarded mails wrapped in each other are followed this far.
const MAX_LAYERS: usize = 4;
/// Larger attached keys are not looked at.
const MAX_OFFERED_CERT: usize = 64 * 1024;

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
            PartType::Multipart(children) => self.multipart(parsed, part, children, raw, place),
            PartType::Text(_) | PartType::Html(_) if !mime::is_attachment(part) => {
                // patches are sent inline: shown, and kept as the files they are
                let is_file = part.attachment_name().is_some() && !self.body.is_empty();
                if is_file {
                    self.leaf(part, raw, place);
                }
                if !(is_file && armor::is_message(&mime::bytes_of(part, raw))) {
                    self.text(part, raw, place);
                }
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
            ("multipart/encrypted", [_, ciphertext], _) => {
                self.encrypted(&mime::bytes_of(ciphertext, raw), place);
            }
            // so Exchange breaks PGP/MIME up
            ("multipart/mixed", [text, version, ciphertext], _)
                if mime::media_type(version) == "application/pgp-encrypted"
                    && mime::text_of(text).is_some_and(|text| text.trim().is_empty()) =>
            {
                self.encrypted(&mime::bytes_of(ciphertext, raw), place);
            }
            ("multipart/signed", [signed, signature, ..], [_, _, rest @ ..])
                if is_signature(part, signature, "application/pgp-signature") =>
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
                for child in children {
                    self.part(parsed, *child, raw, place.inside(children.len() == 1));
                }
            }
        }
    }

    /// An entity and the signature beside it (RFC 3156 §5).
    fn detached(&mut self, signed: &MessagePart<'_>, signature: &MessagePart<'_>, raw: &[u8], place: Place) {
        let entity = mime::entity(signed, raw).to_vec();
        let signature = mime::bytes_of(signature, raw);
        let verdict = pgp::verify_detached(&mime::with_crlf(&entity), &signature, self.keyring, self.now);
        self.signed(verdict, place);
        let layers = place.layers.saturating_add(1);
        self.inner(&entity, Place { layers, ..place.inside(true) });
    }

    /// The best readable form, which is the plain one; other forms of the same are not shown.
    fn alternative(&mut self, parsed: &Parsed<'_>, children: &[u32], raw: &[u8], place: Place) {
        let plain = children.iter().find(|id| {
            parsed.part(**id).is_some_and(|part| {
                mime::media_type(part) == "text/plain"
                    && mime::text_of(part).is_some_and(|text| !text.trim().is_empty())
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
        self.note_opened(&opened, place);
        self.signed(opened.verdict, place);
        let layers = place.layers.saturating_add(1);
        let secret = place.secret || opened.encrypted;
        self.label("decrypted part", place.whole);
        self.inner(&opened.plaintext, Place { secret, layers, ..place.inside(true) });
        self.label("end of the decrypted part", place.whole);
    }

    fn text(&mut self, part: &MessagePart<'_>, raw: &[u8], place: Place) {
        let Some(text) = mime::text_of(part) else { return };
        if text.len() > MAX_TEXT && !text.contains(armor::FRAME) {
            self.long_text(&text, mime::bytes_of(part, raw));
            return;
        }
        let mut pieces = armor::pieces(&text);
        if let PartType::Html(html) = &part.body {
            self.attach(Some("body.html".to_owned()), "application/octet-stream", mime::bytes_of(part, raw));
            // armor pasted into HTML keeps its lines in the source only
            let source = armor::pieces(html);
            if source.iter().any(|piece| matches!(piece, Piece::Message(_))) {
                pieces = source.into_iter().map(Piece::without_markup).collect();
            }
        }
        if pieces.iter().all(|piece| matches!(piece, Piece::Text(_))) {
            self.body.push(text);
            return;
        }
        let alone = pieces.len() == 1;
        let place = place.inside(alone);
        for piece in pieces {
            if matches!(piece, Piece::Text(_)) {
                self.inline(piece, place);
            } else {
                self.label("inline OpenPGP block", alone);
                self.inline(piece, place);
                self.label("end of the inline OpenPGP block", alone);
            }
        }
    }

    fn inline(&mut self, piece: Piece, place: Place) {
        match piece {
            Piece::Text(text) => self.body.push(text.trim_end().to_owned()),
            Piece::Message(block) => match self.decrypt(block.as_bytes()) {
                Ok(opened) => {
                    self.note_opened(&opened, place);
                    self.signed(opened.verdict, place);
                    self.body.push(String::from_utf8_lossy(&opened.plaintext).into_owned());
                }
                Err(problem) => {
                    self.note_encryption(place);
                    self.not_opened(problem, block.as_bytes());
                }
            },
            Piece::Signed(block) => match pgp::verify_cleartext(block.as_bytes(), self.keyring, self.now) {
                Ok(opened) => {
                    self.signed(opened.verdict, place);
                    self.body.push(String::from_utf8_lossy(&opened.plaintext).into_owned());
                }
                Err(why) => {
                    self.signed(pgp::Verdict::Bad { signer: None, why }, place);
                    self.body.push(block);
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
        if (media_type == "application/pgp-keys" || armor::is_key(&bytes)) && bytes.len() <= MAX_OFFERED_CERT
        {
            self.message.offered_certs.push(bytes.clone());
        }
        if media_type == "message/rfc822" || mime::starts_with_mime_header(&bytes) {
            self.forwarded(&bytes, media_type == "message/rfc822", place);
        }
        if armor::is_message(&bytes) || encrypted_name(named.as_deref()).is_some() {
            self.encrypted_file(named, &media_type, bytes, place);
        } else {
            self.attach(named, &media_type, bytes);
        }
    }

    /// A file that is encrypted by itself. What comes out is a file again, or a whole entity when the frame around it was lost.
    fn encrypted_file(&mut self, named: Option<String>, media_type: &str, bytes: Vec<u8>, place: Place) {
        let place = place.inside(false);
        match self.decrypt(&bytes) {
            Ok(opened)
                if opened.plaintext.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-")) =>
            {
                self.opened_entity(opened, place);
            }
            Ok(opened) => {
                self.note_opened(&opened, place);
                let stem = encrypted_name(named.as_deref()).filter(|stem| !stem.is_empty());
                let name = stem.map(str::to_owned).or(named);
                self.attach(name, "application/octet-stream", opened.plaintext);
            }
            Err(problem) => {
                // a name proves nothing: what does not look like a message either may be some other file
                if armor::is_message(&bytes) || !problem.starts_with("damaged") {
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
    /// forwarded mail: somebody here wrote it. What only looks like an entity (`meant` is false) is a file unless it is encrypted.
    fn forwarded(&mut self, bytes: &[u8], meant: bool, place: Place) {
        let layers = place.layers.saturating_add(1);
        let returned = self.message.marks.report.is_some() || self.message.return_path == ReturnPath::Null;
        if returned || layers > MAX_LAYERS || mime::beyond_limits(bytes).is_some() {
            return;
        }
        let Some(mails) = self.room.mails.checked_sub(1) else { return };
        let room = Room { mails, ..self.room };
        let (keyring, now) = (self.keyring, self.now);
        let mut opening = Opening::of(bytes, keyring, now, room);
        opening.mail(bytes, Place { whole: true, secret: false, depth: 0, layers });
        self.room = opening.room;
        let inner = opening.finish();
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
            self.message.attachments.extend(inner.attachments);
        }
        if let (Signature::None, Signature::Good(by)) = (&self.message.signature, &inner.signature) {
            self.message.signature = Signature::Partial { signer: Some(by.fingerprint().to_owned()) };
        }
    }

    fn note_opened(&mut self, opened: &pgp::Opened, place: Place) {
        if opened.encrypted {
            self.note_encryption(place);
            self.message.decrypted = true;
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
    let from = inner.author().map_or_else(|| "an unknown author".to_owned(), ToString::to_string);
    let subject = inner.subject.as_deref().map_or_else(|| "no subject".to_owned(), clean_line);
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
