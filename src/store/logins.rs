//! The sealed logins of mailboxes' servers.

use diesel::prelude::*;
use uuid::Uuid;

use super::{Conn, on, schema::mailbox_credentials, unreadable};
use crate::model::{
    Result,
    credentials::Auth,
    id::TenantId,
    mailbox::{Security, ServerSettings, Service},
};

/// A row of `mailbox_credentials`.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = mailbox_credentials, treat_none_as_default_value = false)]
pub(crate) struct LoginRow {
    host: String,
    port: i32,
    security: String,
    username: String,
    auth: String,
    secret: Vec<u8>,
}

/// A server's settings with the password or tokens as they are encrypted at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedLogin {
    /// Where and who.
    pub settings: ServerSettings,
    /// What is sealed.
    pub auth: Auth,
    /// The sealed password or tokens.
    pub secret: Vec<u8>,
}

impl Conn {
    /// Stores a server's settings and sealed secret, in place of what was there.
    pub async fn set_login(
        &mut self,
        tenant: TenantId,
        mailbox: Uuid,
        service: Service,
        login: &SealedLogin,
    ) -> Result<()> {
        let row = LoginRow {
            host: login.settings.host.clone(),
            port: i32::from(login.settings.port),
            security: login.settings.security.as_str().to_owned(),
            username: login.settings.username.clone(),
            auth: login.auth.as_str().to_owned(),
            secret: login.secret.clone(),
        };
        on!(self, mailboxes::set_login(tenant, mailbox, service, &row))
    }

    /// A server's settings and sealed secret.
    pub async fn get_login(
        &mut self,
        tenant: TenantId,
        mailbox: Uuid,
        service: Service,
    ) -> Result<Option<SealedLogin>> {
        let Some(row) = on!(self, mailboxes::get_login(tenant, mailbox, service))? else {
            return Ok(None);
        };
        let security =
            Security::parse(&row.security).ok_or_else(|| unreadable("mailbox_credentials.security"))?;
        let port = u16::try_from(row.port).map_err(|_| unreadable("mailbox_credentials.port"))?;
        let settings = ServerSettings {
            host: row.host,
            port,
            security,
            username: row.username,
        };
        Ok(Some(SealedLogin {
            settings,
            auth: Auth::parse(&row.auth).ok_or_else(|| unreadable("mailbox_credentials.auth"))?,
            secret: row.secret,
        }))
    }

    /// Puts tokens in the place of those that were read; false when others have taken their place since.
    pub async fn swap_tokens(
        &mut self,
        tenant: TenantId,
        mailbox: Uuid,
        service: Service,
        read: &[u8],
        new: &[u8],
    ) -> Result<bool> {
        on!(self, mailboxes::swap_tokens(tenant, mailbox, service, read, new))
    }

    /// Erases a server's settings.
    pub async fn delete_login(&mut self, tenant: TenantId, mailbox: Uuid, service: Service) -> Result<()> {
        on!(self, mailboxes::delete_login(tenant, mailbox, service))
    }
}
