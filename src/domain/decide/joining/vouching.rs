//! A member's word for another organisation: when it counts, and what is said when it does not.
//!
//! # Invariants
//! * It counts once, of an active member, signed now by a certificate that it has shown to hold, for another organisation that waits, under
//!   the version of the policy in force.
//! * Whoever vouches is not told who else is on the list: that nobody of a name is there sounds like that somebody is, and does not wait.
//! * Whoever is suspended or removed hears nothing.

use crate::domain::application::{self, Vouching};
use crate::domain::decide::joining::{At, Joined, OF_A_MEMBER, body, proven};
use crate::domain::distributor::{Change, Member, State, Vouch};
use crate::domain::event::What;
use crate::domain::letter::Membership;
use crate::domain::message::{Digest, Mailbox};

/// Why a vouch does not count.
struct Refused {
    /// As the coordinators read it.
    why: String,
    /// As the one reads it who vouches, and who is not to learn who is on the list.
    told: String,
}

impl At<'_> {
    /// A member's word for another organisation.
    pub(super) fn vouch(&self, author: &Mailbox, voucher: &Member, vouching: &Vouching) -> Joined {
        let occasion = Some("vouch");
        let applicant = self.roster.get(&vouching.member);
        let belongs = applicant.is_some_and(|applicant| self.is_case_of(applicant));
        if self.facts.case.is_some() && !belongs {
            return Joined::noted("a vouch, in the thread of another case: it counts for nothing");
        }
        let verdict = self.signed_by(|fingerprint| voucher.holds(fingerprint));
        let signatures: Vec<Digest> =
            verdict.as_ref().map_or_else(|_| Vec::new(), |verified| verified.ids().cloned().collect());
        let refused = self.refused(voucher, vouching, applicant, verdict.map(|_| ()));
        let mut shown = applicant.filter(|applicant| applicant.state == State::Applied).cloned();
        let (event, remarks) = match (&refused, applicant) {
            (None, Some(applicant)) => {
                let (policy, mail) = (vouching.policy.clone(), self.message().digest.clone());
                let vouch = Vouch { by: voucher.id.clone(), policy, at: self.now, mail };
                let event = self.event(&applicant.id, Change::Vouched { vouch, signatures }, &author.address);
                shown.iter_mut().for_each(|shown| shown.apply(&event));
                (event.what, Vec::new())
            }
            (refused, _) => {
                let why = refused.as_ref().map_or_else(String::new, |refused| refused.why.clone());
                let mut signatures = signatures.into_iter();
                let known = !signatures.as_slice().is_empty();
                let refused = What::Commanded {
                    by: if known { author.address.clone() } else { "unverified".to_owned() },
                    commands: vec!["vouch".to_owned()],
                    // what is refused now does not count when it comes again at a better time
                    signature: signatures.next(),
                    further: signatures.collect(),
                    mail: Some(self.message().digest.clone()),
                    refused: Some(why.clone()),
                };
                (refused, vec![format!("THE VOUCH OF {} IS REFUSED: {why}", voucher.id)])
            }
        };
        let lines: Vec<String> = refused.as_ref().map(|refused| refused.told.clone()).into_iter().collect();
        let topic = if refused.is_some() { "vouch-refused" } else { "vouch" };
        let answer = self.to_voucher(author, voucher, topic, vouching, lines);
        let form = match shown {
            Some(shown) => self.form(&shown, remarks),
            None => remarks,
        };
        // that it was taken for a report is not to be said either
        let why_no_answer = answer.is_none().then_some(OF_A_MEMBER);
        Joined { events: vec![event], answer, form, occasion, why_no_answer, belongs }
    }

    /// Why the vouch does not count.
    fn refused(
        &self,
        voucher: &Member,
        vouching: &Vouching,
        applicant: Option<&Member>,
        signed: Result<(), String>,
    ) -> Option<Refused> {
        let plainly = |why: String| Some(Refused { told: why.clone(), why });
        match voucher.state {
            State::Active => {}
            State::Applied if voucher.id == vouching.member => {
                return plainly("nobody vouches for the own organisation".to_owned());
            }
            state => return plainly(format!("whoever vouches is no active member ({})", state.word())),
        }
        if self.message().reads_html {
            return plainly(
                "in HTML what is quoted cannot be told from what is not: send plain text".to_owned(),
            );
        }
        if let Err(why) = signed {
            return plainly(why);
        }
        if vouching.policy != self.policy.distributors.policy {
            let version = &self.policy.distributors.policy;
            return plainly(format!(
                "it is for another version of the embargo policy than {version}, which is in force"
            ));
        }
        let secretly = |why: String| {
            let told = format!("no organisation of the name {} waits to be vouched for", vouching.member);
            Some(Refused { told, why })
        };
        let Some(applicant) = applicant else {
            return secretly(format!("there is no {}", vouching.member));
        };
        if applicant.id == voucher.id {
            return plainly("nobody vouches for the own organisation".to_owned());
        }
        if applicant.state != State::Applied {
            return secretly(format!("{} does not wait: it is {}", applicant.id, applicant.state.word()));
        }
        application::are_different(voucher, applicant)
            .err()
            .and_then(|why| plainly(format!("another organisation has to vouch: {why}")))
    }

    /// What the one who vouches hears: encrypted, or nothing.
    fn to_voucher(
        &self,
        author: &Mailbox,
        voucher: &Member,
        topic: &'static str,
        vouching: &Vouching,
        lines: Vec<String>,
    ) -> Option<(Mailbox, Membership)> {
        let hears = matches!(voucher.state, State::Active | State::Applied);
        let certificates = proven(voucher);
        if !hears || certificates.is_empty() || !self.may_answer(true) {
            return None;
        }
        // under the address that the list has, not under one that a mail may say is the same
        let known = voucher.addresses.iter().find(|known| known.identity() == author.identity())?;
        let member = vouching.member.to_string();
        let body = body(topic, None, lines, self.policy);
        let body = Membership { member, certificates, automatic: true, ..body };
        Some((Mailbox::bare(known.address.clone()), body))
    }
}
