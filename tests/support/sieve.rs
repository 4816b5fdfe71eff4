//! Sieve scripts of some users of a private Dovecot: real vacation responders, and worse.
//!
//! ```ignore
//! let imap = Dovecot::builder().sieve("vera@example.net", "require \"vacation\"; vacation \"I am away.\";").start();
//! let smtp = Postfix::start(&imap, &["vera@example.net", "security@example.org"]);
//! ```
//!
//! Postfix pipes Vera's mail to `dovecot-lda`, whose Sieve plugin (Debian: `dovecot-sieve`) does what her script says. What the
//! script sends is handed in at the mx port of that Postfix: one to a Dovecot that has scripts.
//!
//! Pigeonhole, the Sieve of Dovecot, does not answer mail that says it is a machine's, whatever a script wants. `behind_a_gateway`
//! makes it: a gateway in front of the scripts removes what it does not know from the headers, the marks of machines included.
//!
//! Nothing else is withheld from a script: it may edit headers, and answer without a pause.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::{daemon, free_port};

/// What Postfix pipes mail into.
const DELIVER: &str = "#!/bin/sh\nexec /usr/lib/dovecot/dovecot-lda \"$@\"\n";

/// The same, behind a gateway that removes the marks of machines.
const GATEWAY: &str = "#!/bin/sh
sed '1,/^$/{/^Auto-Submitted:/Id;/^X-Auto-Response-Suppress:/Id;/^Precedence:/Id}' | /usr/lib/dovecot/dovecot-lda \"$@\"
";

pub struct Sieve {
    /// Where scripts hand in what they send.
    pub submission_port: u16,
    users: Vec<String>,
    dir: PathBuf,
}

impl Sieve {
    /// Writes the scripts of these users below `dir`; none without scripts.
    pub(super) fn with(
        dir: &Path,
        scripts: &[(String, String)],
        gateway: bool,
        owner: (u32, u32),
    ) -> Option<Sieve> {
        if scripts.is_empty() {
            return None;
        }
        let sieve = Sieve {
            submission_port: free_port(),
            users: scripts.iter().map(|(user, _)| user.clone()).collect(),
            dir: dir.to_owned(),
        };
        fs::create_dir(dir.join("sieve")).unwrap();
        for (user, script) in scripts {
            fs::write(dir.join(format!("sieve/{user}.sieve")), script).unwrap();
            // whom was answered already is kept there
            let home = dir.join("mail").join(user);
            fs::create_dir(&home).unwrap();
            chown(home, Some(owner.0), Some(owner.1)).unwrap();
        }
        let program = dir.join("sieve/deliver");
        fs::write(&program, if gateway { GATEWAY } else { DELIVER }).unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(sieve.log_file(), "").unwrap();
        // compiled scripts lie beside them
        for file in [dir.join("sieve"), sieve.log_file()] {
            chown(file, Some(owner.0), Some(owner.1)).unwrap();
        }
        Some(sieve)
    }

    /// What `dovecot-lda` has logged: what each script did.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap()
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.dir.join("lda.log")
    }

    /// Lines of Dovecot's configuration.
    pub(super) fn configuration(&self) -> String {
        let (dir, port) = (self.dir.display(), self.submission_port);
        format!(
            "hostname = mail.example.net
postmaster_address = postmaster@example.net
submission_host = 127.0.0.1:{port}
service auth {{
  unix_listener auth-userdb {{
    mode = 0666
  }}
}}
protocol lda {{
  log_path = {dir}/lda.log
  mail_plugins = sieve
}}
plugin {{
  sieve = file:{dir}/sieve/%u.sieve
  sieve_extensions = +editheader +vacation-seconds
  sieve_vacation_min_period = 0
  sieve_redirect_envelope_from = recipient
}}
"
        )
    }

    /// Lines of Postfix' transport table.
    pub(super) fn transports(&self) -> String {
        self.users.iter().map(|user| format!("{user} lda:\n")).collect()
    }

    /// The service of Postfix' master.cf that this table names.
    pub(super) fn service(&self) -> String {
        let dir = self.dir.display();
        format!(
            "lda unix - n n - - pipe flags=DRhu user=nobody null_sender= \
             argv={dir}/sieve/deliver -c {dir}/dovecot.conf -f ${{sender}} -a ${{original_recipient}} -d ${{recipient}}\n",
        )
    }
}

impl Drop for Sieve {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of dovecot-lda's log\n{}", daemon::tail(&self.log_file()));
        }
    }
}
