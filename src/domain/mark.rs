//! The sentence by which a member's copy of a notice is known, should it leak.
//!
//! # What it is for
//! The configuration gives the places of a sentence and, for each, the words that may stand there. Each copy gets another choice. It is
//! off unless configured, and the notice says that copies differ.
//!
//! # Invariants
//! * As long as there are as many sentences as copies, no two copies of a notice have the same.

/// The sentence of the `number`th copy, counted from 1; none when copies are not marked.
pub fn of(places: &[Vec<String>], number: u32) -> Option<String> {
    let places: Vec<&Vec<String>> = places.iter().filter(|words| !words.is_empty()).collect();
    if places.is_empty() {
        return None;
    }
    let mut rest = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut sentence = Vec::new();
    for words in places {
        let choice = rest.checked_rem(words.len()).unwrap_or_default();
        rest = rest.checked_div(words.len()).unwrap_or_default();
        sentence.extend(words.get(choice).map(String::as_str));
    }
    Some(sentence.join(" "))
}

/// How many different sentences there are.
pub fn different(places: &[Vec<String>]) -> usize {
    let places = places.iter().filter(|words| !words.is_empty());
    places.map(Vec::len).fold(1, usize::saturating_mul)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn as_many_sentences_as_the_words_allow() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let places =
            [words(&["Please", "Kindly"]), words(&["confirm", "acknowledge", "tell us"]), words(&["soon."])];
        assert_eq!(different(&places), 6);
        let all: BTreeSet<String> = (1..=6).filter_map(|number| of(&places, number)).collect();
        assert_eq!(all.len(), 6);
        assert!(all.contains("Kindly tell us soon."), "{all:?}");
        assert_eq!(of(&[], 1), None);
    }
}
