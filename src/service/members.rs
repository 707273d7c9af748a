//! Members of a tenant: read by every caller of the tenant, changed by its owners.

use uuid::Uuid;

use super::App;
use crate::{
    model::{
        Error, Result,
        caller::Caller,
        error::Conflict,
        id::{self, TenantId},
        member::{Member, MemberPatch, NewMember, Role},
        message::address_key,
        page::{Page, PageRequest},
        scope::Scope,
    },
    store::Conn,
};

const RESOURCE: &str = "member";

/// The tenant's members, newest first.
pub async fn list(app: &App, caller: &Caller, page: PageRequest) -> Result<Page<Member>> {
    app.store.read().await?.list_members(caller.tenant_id, page).await
}

/// One member.
pub async fn get(app: &App, caller: &Caller, id: Uuid) -> Result<Member> {
    let found = app.store.read().await?.get_member(caller.tenant_id, id).await?;
    found.ok_or(Error::NotFound(RESOURCE))
}

/// Adds a member.
pub async fn create(app: &App, caller: &Caller, new: NewMember) -> Result<Member> {
    require_owner(caller)?;
    let (tenant, now) = (caller.tenant_id, app.clock.now());
    let NewMember {
        first_name,
        last_name,
        email,
        role,
    } = new;
    let member = Member {
        id: id::new(),
        first_name,
        last_name,
        email,
        role,
        created_at: now,
        updated_at: now,
    };
    app.write(move |tx| {
        Box::pin(async move {
            if !tx.create_member(tenant, &member).await? {
                refuse_taken(tx, tenant, &member).await?;
            }
            Ok(member)
        })
    })
    .await
}

/// Changes a member. The last owner of a tenant stays one.
pub async fn update(app: &App, caller: &Caller, id: Uuid, patch: MemberPatch) -> Result<Member> {
    require_owner(caller)?;
    let (tenant, now) = (caller.tenant_id, app.clock.now());
    app.write_access(tenant, move |tx| {
        Box::pin(async move {
            // The owners are locked first, so that two changes at once cannot leave none.
            let owners = tx.count_owners(tenant).await?;
            let before = tx
                .get_member(tenant, id)
                .await?
                .ok_or(Error::NotFound(RESOURCE))?;
            let mut member = patched(before.clone(), patch);
            if before.role == Role::Owner && member.role != Role::Owner && owners < 2 {
                return Err(Error::Conflict(Conflict::LastOwner));
            }
            if address_key(&member.email) != address_key(&before.email) {
                refuse_taken(tx, tenant, &member).await?;
            }
            if member != before {
                member.updated_at = now;
                tx.update_member(tenant, &member).await?;
            }
            Ok(member)
        })
    })
    .await
}

/// Erases a member with the keys that act as it. The last owner of a tenant stays.
pub async fn delete(app: &App, caller: &Caller, id: Uuid) -> Result<()> {
    require_owner(caller)?;
    let tenant = caller.tenant_id;
    app.write_access(tenant, move |tx| {
        Box::pin(async move {
            let owners = tx.count_owners(tenant).await?;
            let member = tx
                .get_member(tenant, id)
                .await?
                .ok_or(Error::NotFound(RESOURCE))?;
            if member.role == Role::Owner && owners < 2 {
                return Err(Error::Conflict(Conflict::LastOwner));
            }
            tx.delete_member(tenant, id).await?;
            Ok(())
        })
    })
    .await
}

fn require_owner(caller: &Caller) -> Result<()> {
    caller.require(Scope::MembersWrite)?;
    caller.require_role(Role::Owner)
}

fn patched(member: Member, patch: MemberPatch) -> Member {
    let MemberPatch {
        first_name,
        last_name,
        email,
        role,
    } = patch;
    Member {
        first_name: first_name.unwrap_or(member.first_name),
        last_name: last_name.unwrap_or(member.last_name),
        email: email.unwrap_or(member.email),
        role: role.unwrap_or(member.role),
        ..member
    }
}

/// Refuses an email address that another member has.
async fn refuse_taken(tx: &mut Conn, tenant: TenantId, member: &Member) -> Result<()> {
    match tx.find_member(tenant, &member.email).await? {
        Some(other) if other.id != member.id => Err(Error::Conflict(Conflict::MemberExists(other.id))),
        Some(_) | None => Ok(()),
    }
}
