//! The schemas that the types put into the documents.

use poem_openapi::{
    registry::{MetaSchemaRef, Registry},
    types::Type,
};

use crate::wire::{feather, plannr, v1};

/// Registers types as a service does; two types of one name panic.
macro_rules! registry_of {
    ($($type:ty,)*) => {{
        let mut registry = Registry::new();
        $(<$type as Type>::register(&mut registry);)*
        registry
    }};
}

fn unified() -> Registry {
    registry_of![
        v1::agent::CreateAgent,
        v1::agent::CreateRevision,
        v1::agent::CreateTeam,
        v1::agent::UpdateAgent,
        v1::agent::UpdateTeam,
        v1::api_key::CreateApiKey,
        v1::attachment::Attachment,
        v1::identity::Whoami,
        v1::mailbox::CreateMailbox,
        v1::mailbox::UpdateMailbox,
        v1::member::CreateMember,
        v1::member::UpdateMember,
        v1::message::Message,
        v1::page::AgentList,
        v1::page::AgentRevisionList,
        v1::page::ApiKeyList,
        v1::page::FolderList,
        v1::page::MailboxList,
        v1::page::MemberList,
        v1::page::MessageList,
        v1::page::TeamList,
        v1::page::TeamRevisionList,
        v1::page::TenantList,
        v1::page::ThreadList,
        v1::problem::Problem,
        v1::server::VerifyMailbox,
        v1::server::VerifyResult,
        v1::tenant::CreateTenant,
        v1::tenant::CreatedTenant,
        v1::tenant::UpdateTenant,
        v1::thread::Thread,
        v1::token::CreateToken,
        v1::token::Token,
    ]
}

fn of_plannr() -> Registry {
    registry_of![
        plannr::mailbox::ConnectLink,
        plannr::mailbox::MailboxList,
        plannr::mailbox::UpdateMailbox,
        plannr::message::Message,
        plannr::problem::ErrorMessage,
        plannr::problem::ValidationErrors,
    ]
}

fn of_feather() -> Registry {
    registry_of![
        feather::account::ListMailboxAccountsResponse,
        feather::account::UpdateMailboxAccountRequest,
        feather::problem::ErrorResponse,
        feather::problem::HttpValidationError,
    ]
}

#[test]
fn every_schema_and_every_field_says_what_it_is() {
    let mut bare = Vec::new();
    for registry in [unified(), of_plannr(), of_feather()] {
        for (name, schema) in &registry.schemas {
            if schema.description.is_none() {
                bare.push(name.clone());
            }
            for (field, schema) in &schema.properties {
                if matches!(schema, MetaSchemaRef::Inline(schema) if schema.description.is_some()) {
                    continue;
                }
                bare.push(format!("{name}.{field}"));
            }
        }
    }
    assert_eq!(bare, [""; 0]);
}

#[test]
fn whatever_is_a_whole_body_has_an_example() {
    let mut bare = Vec::new();
    for registry in [unified(), of_plannr(), of_feather()] {
        for (name, schema) in registry.schemas {
            let whole = ["Create", "Update", "Verify", "List"]
                .iter()
                .any(|word| name.contains(word));
            let nested = ["UpdateBilling", "UpdateBrandColours"].contains(&name.as_str());
            if whole && !nested && schema.example.is_none() {
                bare.push(name);
            }
        }
    }
    assert_eq!(bare, [""; 0]);
}
