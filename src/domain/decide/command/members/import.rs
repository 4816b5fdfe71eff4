//! Members from a file, as `psirtd members export` writes it.
//!
//! # Invariants
//! * All of the file is taken in, or nothing; everything that is wrong is told, each with its place.
//! * Of a member that is known, organisation, addresses and certificates become those of the file; how it stands to the list does not.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::decide::command::members::{has_certificate, not_ours};
use crate::domain::decide::command::work::{Told, Worker};
use crate::domain::distributor::{Change, Member, MemberId, State};

impl Worker<'_> {
    pub(super) fn import_members(&mut self) -> Told {
        let imported = match &self.ordered.imported {
            Some(Ok(imported)) => imported,
            Some(Err(why)) => return Err(why.clone()),
            None => return Err("there is no list in the text: psirtd members import FILE".to_owned()),
        };
        let wrong = self.wrong_with(imported);
        if !wrong.is_empty() {
            return Err(format!("nothing is imported:\n{}", wrong.join("\n")));
        }
        let (mut new, mut updated, mut notes) = (0_usize, 0_usize, Vec::new());
        for member in imported {
            let Ok(known) = self.member(&member.id) else {
                new = new.saturating_add(1);
                self.changes(member, None, Change::Imported { known: Box::new(member.clone()) });
                continue;
            };
            if known.state != member.state {
                notes.push(format!(
                    "{} stays {} (the file says {})",
                    known.id,
                    known.state.word(),
                    member.state.word()
                ));
            }
            let after = updated_by(&known, member);
            if after != known {
                updated = updated.saturating_add(1);
                self.changes(&known, None, Change::Imported { known: Box::new(after) });
            }
        }
        let same = imported.len().saturating_sub(new).saturating_sub(updated);
        let mut told = vec![format!("members: {new} new, {updated} changed, {same} as they were")];
        told.extend(notes);
        Ok(told.join("\n"))
    }

    /// Everything that keeps a file from being taken in, a line each.
    fn wrong_with(&self, imported: &[Member]) -> Vec<String> {
        let mut wrong = Vec::new();
        let in_file: BTreeSet<&MemberId> = imported.iter().map(|member| &member.id).collect();
        // whose address, and whose certificate, it is: of those that the file says nothing of, and of the places before each place
        let mut taken = Taken(self.ordered.ours.iter().cloned().collect());
        for known in self.all_members().filter(|known| !in_file.contains(&known.id)) {
            taken.by(known, known.state, &known.id.to_string());
        }
        let mut places: BTreeMap<&MemberId, usize> = BTreeMap::new();
        for (place, member) in imported.iter().enumerate() {
            let mut say = |what: String| wrong.push(format!("[{place}] {}: {what}", member.id));
            if let Some(first) = places.insert(&member.id, place) {
                say(format!("it stands in the file twice, at [{first}], too"));
                continue;
            }
            let ours = member.addresses.iter().filter_map(|address| not_ours(address, self.policy).err());
            ours.for_each(&mut say);
            let state = self.member(&member.id).map_or(member.state, |known| known.state);
            taken.by(member, state, &format!("{} at [{place}]", member.id)).into_iter().for_each(say);
        }
        wrong
    }
}

/// Whose each address and each certificate is.
struct Taken(BTreeMap<String, String>);

impl Taken {
    /// A member takes its own; what another one has is told. Whoever was removed has nothing.
    fn by(&mut self, member: &Member, state: State, name: &str) -> Vec<String> {
        if state == State::Removed {
            return Vec::new();
        }
        let addresses =
            member.addresses.iter().map(|it| (it.identity(), format!("the address {}", it.address)));
        let certificates = member
            .certificates
            .iter()
            .map(|it| (it.fingerprint.clone(), format!("the certificate {}", it.fingerprint)));
        let mut wrong = Vec::new();
        for (key, what) in addresses.chain(certificates) {
            match self.0.insert(key, name.to_owned()) {
                Some(other) if other != name => wrong.push(format!("{what} is that of {other}")),
                _ => {}
            }
        }
        wrong
    }
}

/// What is known, with what a file says of organisation, addresses and certificates.
fn updated_by(known: &Member, file: &Member) -> Member {
    let mut after = known.clone();
    after.organisation.clone_from(&file.organisation);
    after.addresses.clone_from(&file.addresses);
    after.certificates.clone_from(&file.certificates);
    // what was known to be its own stays so, since when it was
    after.proven.retain(|(fingerprint, _)| has_certificate(file, fingerprint));
    let new = file.proven.iter().filter(|(fingerprint, _)| !known.holds(fingerprint));
    after.proven.extend(new.cloned());
    after
}
