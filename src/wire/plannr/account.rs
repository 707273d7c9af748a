//! Accounts: the members of a tenant, in the shape of Plannr's account.

use poem_openapi::{Enum, Object};
use uuid::Uuid;

use super::{Resource, Time, firm::Firm};
use crate::model;

/// What the account may see: `owner` and `senior` see every mailbox, `employee` those that it created. More values may be
/// added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", remote = "model::member::Role")]
pub enum AccountRole {
    /// Sees the mailboxes that they created.
    Employee,
    /// Sees every mailbox of the firm.
    Senior,
    /// Sees every mailbox and changes the firm.
    Owner,
}

/// A person of the firm.
#[derive(Debug, Clone, PartialEq, Object)]
pub struct Account {
    /// The UUID of the resource.
    pub uuid: Uuid,
    /// The timestamp of when the resource was created.
    pub created_at: Time,
    /// The timestamp of when the resource was updated.
    pub updated_at: Time,
    /// Account type: the same as the role.
    #[oai(rename = "type")]
    pub kind: AccountRole,
    /// Account role.
    pub role: AccountRole,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// First and last name.
    pub name: String,
    /// The email of the account.
    pub email: String,
    /// The firm that the account belongs to.
    pub firm: Firm,
    /// Always null here.
    #[oai(nullable)]
    pub primary_phone_number: Option<Resource>,
    /// Always null here: the address is `email`.
    #[oai(nullable)]
    pub primary_email: Option<Resource>,
    /// Always null here.
    #[oai(nullable)]
    pub current_time_entry: Option<Resource>,
    /// Always null here.
    #[oai(nullable)]
    pub assigned_adviser: Option<Resource>,
    /// Always null here.
    #[oai(nullable)]
    pub assigned_administrator: Option<Resource>,
    /// Always null here.
    #[oai(nullable)]
    pub assigned_paraplanner: Option<Resource>,
    /// Always null here.
    #[oai(nullable)]
    pub introduced_by: Option<Resource>,
    /// Always empty here.
    pub groups: Vec<Resource>,
    /// Always empty here.
    pub tags: Vec<Resource>,
    /// Always empty here.
    pub owners: Vec<Resource>,
    /// Always null here.
    #[oai(nullable)]
    pub first_contact_date: Option<Time>,
    /// Always null here.
    #[oai(nullable)]
    pub next_review_date: Option<Time>,
    /// Always null here.
    #[oai(nullable)]
    pub previous_review_date: Option<Time>,
    /// Always null here.
    #[oai(nullable)]
    pub anniversary_review_date: Option<Time>,
    /// Always null here.
    #[oai(nullable)]
    pub with_login: Option<bool>,
    /// Always null here.
    #[oai(nullable)]
    pub has_joint_account: Option<bool>,
    /// Always null here.
    #[oai(nullable)]
    pub can_be_deleted: Option<bool>,
    /// Always null here.
    #[oai(nullable)]
    pub inactive_at: Option<String>,
    /// Always empty here.
    pub custom_fields: Vec<Resource>,
    /// Always empty here.
    pub external_references: Vec<Resource>,
}

/// The account of a member.
pub fn account(member: &model::member::Member, firm: &Firm) -> Account {
    let model::member::Member {
        id,
        first_name,
        last_name,
        email,
        role,
        created_at,
        updated_at,
    } = member;
    Account {
        uuid: *id,
        created_at: (*created_at).into(),
        updated_at: (*updated_at).into(),
        kind: (*role).into(),
        role: (*role).into(),
        first_name: first_name.clone(),
        last_name: last_name.clone(),
        name: format!("{first_name} {last_name}").trim().to_owned(),
        email: email.clone(),
        firm: firm.clone(),
        primary_phone_number: None,
        primary_email: None,
        current_time_entry: None,
        assigned_adviser: None,
        assigned_administrator: None,
        assigned_paraplanner: None,
        introduced_by: None,
        groups: Vec::new(),
        tags: Vec::new(),
        owners: Vec::new(),
        first_contact_date: None,
        next_review_date: None,
        previous_review_date: None,
        anniversary_review_date: None,
        with_login: None,
        has_joint_account: None,
        can_be_deleted: None,
        inactive_at: None,
        custom_fields: Vec::new(),
        external_references: Vec::new(),
    }
}
