//! The versions that a report names, against those that are supported (P-16).
//!
//! Reports are full of numbers with dots: addresses, scores, other software. A number counts as a version of the project when it
//! belongs to a supported line, when it has three parts and begins like one ("0.8.1" beside 0.12), or when the word before it says
//! so ("version 0.8", "v0.8", "release 0.8 and 0.9"). Numbers of four parts are addresses, and what follows a name like "Python" or
//! "CVSS" is of that.

/// No more versions are listed.
const MOST: usize = 20;
/// The words before a version of the project.
const SAYS_SO: [&str; 11] =
    ["version", "versions", "release", "releases", "v", "ver", "ver.", "tag", "branch", "line", "before"];
/// The words between two versions.
const JOINS: [&str; 12] = ["and", "or", "to", "until", "through", "up", "und", "oder", "bis", "et", "y", "-"];

/// A version as the report names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// `0.11.3`
    pub number: String,
    /// It belongs to a line that is supported.
    pub supported: bool,
}

/// The versions named in a text and its subject, in order. A desk that supports none in particular asks for none.
pub(super) fn named(text: &str, subject: &str, supported: &[String]) -> Vec<Version> {
    let mut versions: Vec<Version> = Vec::new();
    if supported.is_empty() {
        return versions;
    }
    for line in std::iter::once(subject).chain(text.lines()) {
        let mut before = Before::Nothing;
        for word in line.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | ';' | '/' | '='))
        {
            let word = word.trim_matches(|c: char| {
                matches!(c, '.' | ':' | '!' | '?' | '"' | '\'' | '`' | '<' | '>' | '~' | '^')
            });
            if word.is_empty() {
                continue;
            }
            let Some((number, marked)) = number(word) else {
                before = before.then(word);
                continue;
            };
            let is_line = |line: &String| {
                number == *line
                    || number.strip_prefix(line.as_str()).is_some_and(|rest| rest.starts_with('.'))
            };
            let is_supported = supported.iter().any(is_line);
            let counts = match before {
                Before::Foreign => false,
                Before::SaysSo => true,
                Before::Nothing => marked || is_supported || begins_like_one(&number, supported),
            };
            if counts && versions.len() < MOST && !versions.iter().any(|known| known.number == number) {
                versions.push(Version { number, supported: is_supported });
            }
            before = if counts { Before::SaysSo } else { before };
        }
    }
    versions
}

/// It has three parts, and the first is that of a supported line.
fn begins_like_one(number: &str, supported: &[String]) -> bool {
    let major = |version: &str| version.split('.').next().unwrap_or_default().to_owned();
    number.split('.').count() == 3 && supported.iter().any(|line| major(line) == major(number))
}

/// What the words before a number make of it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    SaysSo,
    /// It is of something else.
    Foreign,
}

impl Before {
    fn then(self, word: &str) -> Self {
        let lower = word.to_lowercase();
        if SAYS_SO.contains(&lower.as_str()) {
            // "Python version 3.11"
            return if self == Self::Foreign { self } else { Self::SaysSo };
        }
        if JOINS.contains(&lower.as_str()) {
            return self;
        }
        if is_foreign(&lower) { Self::Foreign } else { Self::Nothing }
    }
}

/// Other things that bear numbers with dots.
fn is_foreign(word: &str) -> bool {
    const NAMES: [&str; 45] = [
        "python",
        "tls",
        "ssl",
        "cvss",
        "http",
        "debian",
        "ubuntu",
        "fedora",
        "rhel",
        "centos",
        "alpine",
        "windows",
        "macos",
        "linux",
        "kernel",
        "gcc",
        "clang",
        "go",
        "golang",
        "rust",
        "rustc",
        "java",
        "jdk",
        "node",
        "nodejs",
        "php",
        "ruby",
        "perl",
        "glibc",
        "openssl",
        "nginx",
        "apache",
        "postgresql",
        "mysql",
        "redis",
        "docker",
        "kubernetes",
        "curl",
        "score",
        "libpng",
        "uv",
        "pip",
        "npm",
        "cargo",
        "cmake",
    ];
    NAMES.contains(&word)
}

/// `0.11`, `v0.11.3`, `0.11.x`, `0.12.0-rc1`: the number, and whether a "v" marks it.
fn number(word: &str) -> Option<(String, bool)> {
    let bare = word.strip_prefix(['v', 'V']).unwrap_or(word);
    let marked = bare.len() < word.len();
    let bare = bare.split(['-', '+']).next().unwrap_or_default();
    let bare = bare.strip_suffix(".x").or_else(|| bare.strip_suffix(".*")).unwrap_or(bare);
    let parts: Vec<&str> = bare.split('.').collect();
    let right = (2..=3).contains(&parts.len())
        && parts.iter().all(|part| {
            !part.is_empty() && part.len() <= 5 && part.bytes().all(|byte| byte.is_ascii_digit())
        });
    right.then(|| (bare.to_owned(), marked))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(text: &str) -> Vec<String> {
        let supported = ["0.12", "0.11", "0.10"].map(str::to_owned);
        let sign =
            |version: Version| format!("{}{}", version.number, if version.supported { "+" } else { "-" });
        named(text, "", &supported).into_iter().map(sign).collect()
    }

    #[test]
    fn versions_of_the_project() {
        assert_eq!(versions("We run 0.11.3 and version 0.8."), ["0.11.3+", "0.8-"]);
        assert_eq!(versions("Affected: v0.9.1, v0.10.x"), ["0.9.1-", "0.10+"]);
        assert_eq!(versions("versions 0.8 to 0.12"), ["0.8-", "0.12+"]);
        assert_eq!(versions("0.1.2"), ["0.1.2-"], "0.1 is not 0.12");
    }

    #[test]
    fn numbers_of_other_things() {
        let text = "Python 3.11.2, TLS 1.2, CVSS:3.1/AV:N, CVSS score 9.8, 10.0.0.1, Debian 12.4, nginx version 1.18.0, 2026.11.20";
        assert_eq!(versions(text), Vec::<String>::new());
    }
}
