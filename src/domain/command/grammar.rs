//! The rows of the grammar: what can be said, by whom, and what becomes of the text below it. `help` is printed from them.

use crate::domain::policy::Role;

/// What becomes of the text below a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// The command takes none.
    None,
    /// It cannot do without.
    Wanted,
    /// It takes one when there is one.
    Optional,
}

/// A row of the grammar.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The command's word.
    pub word: &'static str,
    /// What follows it.
    pub arguments: &'static str,
    /// Whether it takes a text.
    pub text: Text,
    /// Its text goes to the reporter.
    pub to_reporter: bool,
    /// Who may say it; whoever has the case shared with them may say what a maintainer may.
    pub role: Role,
    /// What it does.
    pub about: &'static str,
    /// How it looks.
    pub example: &'static str,
}

const fn row(word: &'static str, arguments: &'static str, about: &'static str, example: &'static str) -> Row {
    Row { word, arguments, text: Text::None, to_reporter: false, role: Role::Coordinator, about, example }
}

impl Row {
    const fn text(self, text: Text) -> Self {
        Self { text, ..self }
    }

    const fn to_reporter(self, text: Text) -> Self {
        Self { text, to_reporter: true, ..self }
    }

    const fn maintainer(self) -> Self {
        Self { role: Role::Maintainer, ..self }
    }
}

/// All commands.
pub const GRAMMAR: [Row; 38] = [
    row("help", "", "This list", "help").maintainer(),
    row("list", "", "The open cases, the most urgent first", "list").maintainer(),
    row("show", "", "The case at a glance", "show").maintainer(),
    row("take", "[PERSON]", "You, or that person, answer for the case", "take otto@example.org").maintainer(),
    row("note", "", "Internal: the text goes to the other coordinators and the owner", "note")
        .text(Text::Wanted)
        .maintainer(),
    row("reply", "", "The text goes to the reporter", "reply").to_reporter(Text::Wanted),
    row(
        "need-info",
        "",
        "The text, a question, goes to the reporter; until he answers, no status update is due",
        "need-info",
    )
    .to_reporter(Text::Wanted),
    row("plan", "", "The text, your plan to investigate, goes to the reporter", "plan")
        .to_reporter(Text::Wanted),
    row("accept", "", "It is a vulnerability; a text goes to the reporter", "accept")
        .to_reporter(Text::Optional),
    row(
        "reject",
        "CLASS",
        "It is nothing for this desk; the text, your reason, goes to the reporter (not for spam)",
        "reject upstream libtile",
    )
    .to_reporter(Text::Wanted),
    row(
        "share",
        "[PERSON]...",
        "All maintainers, or those named, get the case; a text goes to them",
        "share",
    )
    .text(Text::Optional),
    row(
        "severity",
        "VECTOR [tell]",
        "CVSS 3.0, 3.1 or 4.0; with “tell” the reporter hears it, and a text",
        "severity CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H tell",
    )
    .to_reporter(Text::Optional)
    .maintainer(),
    row("cwe", "CWE-ID...", "The kind of mistake", "cwe CWE-787").maintainer(),
    row("cve", "CVE-ID...", "The CVE ids; they stay private until publication", "cve CVE-2026-12345"),
    row("affects", "LINE...|all|none", "Which lines are affected", "affects 0.12 0.11").maintainer(),
    row("fixing", "", "The fix is being worked on", "fixing").maintainer(),
    row(
        "fixed",
        "VERSION...|except LINE",
        "Versions that fix it, or a line that gets no fix, with the reason as text",
        "fixed 0.12.3 0.11.9",
    )
    .text(Text::Optional)
    .maintainer(),
    row(
        "workaround",
        "",
        "The text says what helps until there is a fix; it is kept for the advisory",
        "workaround",
    )
    .text(Text::Wanted)
    .maintainer(),
    row("credit", "NAME|none", "Who is thanked", "credit Rita Reporter, Example GmbH"),
    row(
        "public",
        "[URL]",
        "The matter is publicly known: the embargo is over, everyone concerned is told",
        "public https://example.com/blog",
    )
    .to_reporter(Text::Optional),
    row("merge", "CASE", "It is about the same as that case, which goes on", "merge EX-2026-0001"),
    row(
        "split",
        "MAIL",
        "That mail is about something else, and becomes a case of its own",
        "split 4f0a9c2b61de",
    ),
    row("priority", "critical|high|normal|low", "How urgent it is", "priority high"),
    row(
        "snooze",
        "TERM|DATE",
        "No reminders for so long; what is promised stays promised",
        "snooze 3 business days",
    ),
    row("close", "", "Nothing is left to do; a text is noted", "close").text(Text::Optional),
    row("reopen", "", "A closed or rejected case is looked at again", "reopen"),
    row("release", "LETTER", "A held letter goes", "release EX-2026-0001.2"),
    row(
        "embargo",
        "DATE TIME [ZONE] [because REASON]|agree|lift",
        "When the matter becomes public: proposed, or moved for a reason; decided; over",
        "embargo 2026-12-15 15:00 UTC",
    )
    .to_reporter(Text::Optional),
    row(
        "notice",
        "[TLP] [anyway]",
        "The text and the attachments go to each member of the distributors' list, when that is approved",
        "notice TLP:AMBER",
    )
    .text(Text::Wanted),
    row("update", "[TLP] [anyway]", "The same, to the members who had the notice", "update TLP:AMBER")
        .text(Text::Wanted),
    row(
        "release-to",
        "MEMBER",
        "A member that has joined since gets what the others were sent",
        "release-to acme-linux",
    ),
    row(
        "share-with-members",
        "MAIL [named]",
        "What a member wrote goes to the others, with its author named or not",
        "share-with-members 4f0a9c2b61de",
    ),
    row(
        "leak",
        "ends|stands [MEMBER]",
        "Something got out: the text says what, to whom, when; and whether the embargo ends by that",
        "leak stands acme-linux",
    )
    .text(Text::Wanted),
    row("status", "", "Which members have what", "status"),
    row(
        "approve",
        "NUMBER",
        "A proposal is done as it was shown; of what is typed in the shell, when two have said so",
        "approve 3",
    ),
    row("withdraw", "NUMBER", "It is not done", "withdraw 3").text(Text::Optional),
    row(
        "members",
        "WHAT [MEMBER]...",
        "The distributors' list: show, add, approve, refuse, review, suspend, resume, remove and more",
        "members suspend acme-linux",
    )
    .text(Text::Optional),
    row("case", "CASE", "Names the case, in a mail whose signed subject does not", "case EX-2026-0001")
        .maintainer(),
];

/// The row of a word; `case` is no command by itself.
pub fn row_of(word: &str) -> Option<&'static Row> {
    GRAMMAR.iter().find(|row| row.word == word)
}

/// What can be said, a line each, as a mail or a terminal shows it. `before` stands before each command.
pub fn help(before: &str) -> String {
    let mut help = String::new();
    for row in &GRAMMAR {
        let text = match row.text {
            Text::None => "",
            Text::Wanted => " + TEXT",
            Text::Optional => " [+ TEXT]",
        };
        let said = format!("{} {}", row.word, row.arguments);
        help.push_str(&format!("{before}{}{text}\n    {}\n", said.trim_end(), row.about));
    }
    help.push_str("\nCLASS: not-a-vulnerability, not-security, insecure-default, unsupported-version,\n");
    help.push_str("    duplicate CASE, upstream [PROJECT], spam\n");
    help.push_str("REASON: not-understood, not-tested, distributors, ready\n");
    help.push_str("TLP: TLP:RED, TLP:AMBER+STRICT, TLP:AMBER, TLP:GREEN, TLP:CLEAR\n");
    help
}
