//! One client's session: who it is, which folder it has selected, and the commands that answer at once.

use std::{
    num::NonZeroU32,
    sync::{Arc, MutexGuard},
};

use imap_codec::imap_types::{
    command::CommandBody,
    core::{IString, NString},
    extensions::{enable::CapabilityEnable, namespace::Namespace},
    mailbox::Mailbox as MailboxName,
    response::{Code, CodeOther, Data},
};
use tokio::sync::watch;

use super::{
    Offer, Shared, capabilities,
    extension::Extra,
    mailstore::Store,
    names,
    reply::{Reply, put},
    selected::Selected,
};

/// How a command ended: the refusal is a reply too, so that `?` works.
pub(super) type Outcome = Result<Reply, Reply>;

/// The state of one connection (RFC 3501, 3).
pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    user: Option<String>,
    pub(super) selected: Option<Selected>,
    /// Whether the client has shown that it knows CONDSTORE (RFC 7162, 3.1).
    pub(super) condstore: bool,
    /// What the command that runs asks for beyond what the codec knows.
    pub(super) extra: Vec<Extra>,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            user: None,
            selected: None,
            condstore: false,
            extra: Vec::new(),
        }
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.shared.lock()
    }

    /// The account, or BAD before the login.
    pub(super) fn user(&self) -> Result<&str, Reply> {
        self.user.as_deref().ok_or_else(|| Reply::bad("Log in first"))
    }

    /// What the account offers; nothing more before the login.
    pub(super) fn offer(&self) -> Offer {
        let user = self.user.as_deref().unwrap_or_default();
        self.store().mailbox(user).map(|m| m.offer).unwrap_or_default()
    }

    /// The selected folder, or BAD.
    pub(super) fn selected(&self) -> Result<&Selected, Reply> {
        self.selected
            .as_ref()
            .ok_or_else(|| Reply::bad("Select a folder first"))
    }

    /// The selected folder when it may be changed.
    pub(super) fn writable(&self) -> Result<&Selected, Reply> {
        let selected = self.selected()?;
        if selected.read_only {
            Err(Reply::no("Folder is opened read-only"))
        } else {
            Ok(selected)
        }
    }

    /// Logs in. The answer to a wrong name is that to a wrong password.
    pub(super) fn login(&mut self, username: &[u8], password: &[u8]) -> Outcome {
        if self.user.is_some() {
            return Err(Reply::bad("Logged in already"));
        }
        let known = std::str::from_utf8(username)
            .ok()
            .filter(|name| self.store().authenticate(name, password))
            .map(str::to_owned);
        match known {
            Some(name) => {
                self.user = Some(name);
                let capabilities = format!("CAPABILITY {}", capabilities(self.offer()));
                Ok(Reply::ok("Logged in")
                    .with(Code::Other(CodeOther::unvalidated(capabilities.into_bytes()))))
            }
            None => Err(Reply::no("Wrong user name or password").with_word("AUTHENTICATIONFAILED")),
        }
    }

    pub(super) fn is_logged_in(&self) -> bool {
        self.user.is_some()
    }

    /// What wakes this connection while it idles.
    pub(super) fn watch(&self) -> Result<watch::Receiver<u64>, Reply> {
        Ok(self.store().watch(self.user()?)?)
    }

    /// Runs a command that needs no more of the client and no streaming.
    pub(super) fn run(&mut self, body: CommandBody<'static>, out: &mut Vec<u8>) -> Outcome {
        match body {
            CommandBody::Capability => {
                out.extend_from_slice(format!("* CAPABILITY {}\r\n", capabilities(self.offer())).as_bytes());
                Ok(Reply::ok("CAPABILITY done"))
            }
            CommandBody::Id { .. } => {
                put(
                    out,
                    Data::Id {
                        parameters: identity(),
                    },
                );
                Ok(Reply::ok("ID done"))
            }
            CommandBody::Noop => Ok(Reply::ok("NOOP done")),
            CommandBody::Login { username, password } => {
                self.login(username.as_ref(), password.declassify().as_ref())
            }
            other => {
                self.user()?;
                self.run_logged_in(other, out)
            }
        }
    }

    fn run_logged_in(&mut self, body: CommandBody<'static>, out: &mut Vec<u8>) -> Outcome {
        match body {
            CommandBody::Enable { capabilities } => {
                let condstore = capabilities.as_ref().contains(&CapabilityEnable::CondStore);
                self.condstore |= condstore;
                let enabled = if condstore {
                    vec![CapabilityEnable::CondStore]
                } else {
                    Vec::new()
                };
                put(
                    out,
                    Data::Enabled {
                        capabilities: enabled,
                    },
                );
                Ok(Reply::ok("ENABLE done"))
            }
            CommandBody::Namespace => {
                let delimiter = names::DELIMITER.try_into().ok();
                let prefix = IString::try_from("").map_err(|_| Reply::no("No namespace"))?;
                let personal = vec![Namespace::new(prefix, delimiter)];
                put(
                    out,
                    Data::Namespace {
                        personal,
                        other: Vec::new(),
                        shared: Vec::new(),
                    },
                );
                Ok(Reply::ok("NAMESPACE done"))
            }
            other => self.run_on_folders(other, out),
        }
    }

    /// Tells what has changed in the selected folder.
    ///
    /// # Errors
    /// The folder was deleted or has another UIDVALIDITY: the text for BYE, because the client's UIDs mean nothing now.
    pub(super) fn refresh(&mut self, keep_expunged: bool, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let (Some(user), Some(selected)) = (&self.user, &mut self.selected) else {
            return Ok(());
        };
        let store = self.shared.lock();
        let folder = store
            .mailbox(user)
            .ok()
            .and_then(|m| m.folder_by_id(selected.folder_id))
            .filter(|f| f.uid_validity == selected.uid_validity)
            .ok_or("The selected folder is gone")?;
        for data in selected.refresh(folder, keep_expunged, self.condstore) {
            put(out, data);
        }
        Ok(())
    }
}

/// Whether EXPUNGE must wait after this command (RFC 3501, 7.4.1; RFC 9051 says it for those without UID).
pub(super) fn keeps_expunged(body: &CommandBody<'_>) -> bool {
    matches!(
        body,
        CommandBody::Fetch { uid: false, .. }
            | CommandBody::Store { uid: false, .. }
            | CommandBody::Search { uid: false, .. }
    )
}

/// The folder's name as sent, in its one spelling.
pub(super) fn folder_name(mailbox: &MailboxName<'_>) -> Result<String, Reply> {
    match mailbox {
        MailboxName::Inbox => Ok("INBOX".to_owned()),
        MailboxName::Other(other) => std::str::from_utf8(other.as_ref())
            .map(str::to_owned)
            .map_err(|_| Reply::no("Folder name is not modified UTF-7").with_word("CANNOT")),
    }
}

/// UIDs in the form that COPYUID takes, in the order given: both of its sets correspond one to one (RFC 4315, 3).
pub(super) fn uid_set(uids: &[NonZeroU32]) -> Option<imap_codec::imap_types::extensions::uidplus::UidSet> {
    use imap_codec::imap_types::{
        core::Vec1,
        extensions::uidplus::{UidElement, UidSet},
    };
    let elements: Vec<_> = uids.iter().copied().map(UidElement::Single).collect();
    Vec1::try_from(elements).ok().map(UidSet)
}

fn identity() -> Option<Vec<(IString<'static>, NString<'static>)>> {
    let name = IString::try_from("name").ok()?;
    let value = NString::try_from("postroom sandbox").ok()?;
    Some(vec![(name, value)])
}
