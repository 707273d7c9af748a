//! Tenants: the profile that Plannr calls a firm, and the platform's view of it.

use poem_openapi::{
    Object,
    types::{Example, MaybeUndefined, ToJSON},
};
use secrecy::SecretString;
use serde_json::Value;
use uuid::Uuid;

use super::{
    super::firm::{Billing, BrandColours, FreeObject, UpdateBilling, UpdateBrandColours, object},
    Time,
    api_key::CreatedApiKey,
    check::Faults,
    example,
};
use crate::model::{self, Result, id::TenantId, tenant::Profile};

/// A tenant. Everything but `ip_whitelist` and `keep_deleted_files_for` is kept for the tenant's own use.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(example)]
pub struct Tenant {
    /// The tenant's id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// A name for URLs.
    #[oai(nullable)]
    pub slug: Option<String>,
    /// A tax rate, in percent.
    #[oai(nullable)]
    pub tax: Option<f64>,
    /// A URL of the logo.
    #[oai(nullable)]
    pub logo: Option<String>,
    /// A URL of the small logo.
    #[oai(nullable)]
    pub logo_icon: Option<String>,
    /// First line of the address.
    #[oai(nullable)]
    pub address_1: Option<String>,
    /// Second line of the address.
    #[oai(nullable)]
    pub address_2: Option<String>,
    /// Town or city.
    #[oai(nullable)]
    pub town_city: Option<String>,
    /// County.
    #[oai(nullable)]
    pub county: Option<String>,
    /// Country.
    #[oai(nullable)]
    pub country: Option<String>,
    /// Postcode.
    #[oai(nullable)]
    pub postcode: Option<String>,
    /// Where invoices go.
    pub billing: Billing,
    /// Colours for the tenant's own look.
    pub brand_colours: BrandColours,
    /// The day on which a month ends, 1 to 31.
    #[oai(nullable)]
    pub month_end: Option<i64>,
    /// How often statements are made, such as `monthly`.
    #[oai(nullable)]
    pub statement_frequency: Option<String>,
    /// True when the tenant is subscribed.
    #[oai(nullable)]
    pub is_subscribed: Option<bool>,
    /// Text that a regulator wants shown.
    #[oai(nullable)]
    pub regulatory_text: Option<String>,
    /// Greeting of the portal, as HTML.
    #[oai(nullable)]
    pub welcome_paragraph_html: Option<String>,
    /// Greeting of mail, as HTML.
    #[oai(nullable)]
    pub email_welcome_paragraph_html: Option<String>,
    /// A setting of the portal.
    #[oai(nullable)]
    pub show_fact_find_illustrations: Option<bool>,
    /// Subscriptions beside the main one.
    pub addon_subscriptions: Vec<FreeObject>,
    /// A board of tasks to start from.
    #[oai(nullable)]
    pub task_board_template: Option<FreeObject>,
    /// When not empty, only these addresses and CIDR ranges may use the tenant's keys; at most 500.
    pub ip_whitelist: Vec<String>,
    /// Days that a message deleted on the server is kept, 0 to 3650; null means 30.
    #[oai(nullable)]
    pub keep_deleted_files_for: Option<i64>,
    /// When it was created.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

impl From<model::tenant::Tenant> for Tenant {
    fn from(tenant: model::tenant::Tenant) -> Self {
        let model::tenant::Tenant {
            id: TenantId(id),
            name,
            profile,
            created_at,
            updated_at,
        } = tenant;
        Self::new(id, name, profile, created_at.into(), updated_at.into())
    }
}

impl Tenant {
    fn new(id: Uuid, name: String, profile: Profile, created_at: Time, updated_at: Time) -> Self {
        let Profile {
            slug,
            tax,
            logo,
            logo_icon,
            address_1,
            address_2,
            town_city,
            county,
            country,
            postcode,
            billing,
            brand_colours,
            month_end,
            statement_frequency,
            is_subscribed,
            regulatory_text,
            welcome_paragraph_html,
            email_welcome_paragraph_html,
            show_fact_find_illustrations,
            addon_subscriptions,
            task_board_template,
            ip_whitelist,
            keep_deleted_files_for,
        } = profile;
        Self {
            id,
            name,
            slug,
            tax,
            logo,
            logo_icon,
            address_1,
            address_2,
            town_city,
            county,
            country,
            postcode,
            billing: billing.into(),
            brand_colours: brand_colours.into(),
            month_end,
            statement_frequency,
            is_subscribed,
            regulatory_text,
            welcome_paragraph_html,
            email_welcome_paragraph_html,
            show_fact_find_illustrations,
            addon_subscriptions: addon_subscriptions.into_iter().filter_map(object).collect(),
            task_board_template: task_board_template.and_then(object),
            ip_whitelist,
            keep_deleted_files_for,
            created_at,
            updated_at,
        }
    }
}

impl Example for Tenant {
    fn example() -> Self {
        let profile = Profile {
            slug: Some("codepotato".into()),
            country: Some("United Kingdom".into()),
            ip_whitelist: vec!["192.0.2.0/24".into()],
            keep_deleted_files_for: Some(30),
            ..Profile::default()
        };
        let (id, at) = (TenantId(example::id(1)), example::at());
        let tenant = model::tenant::Tenant {
            id,
            name: "Codepotato".into(),
            profile,
            created_at: at,
            updated_at: at,
        };
        tenant.into()
    }
}

/// A tenant to create.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(deny_unknown_fields, example)]
pub struct CreateTenant {
    /// Its name, at most 200 characters.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: String,
}

impl CreateTenant {
    /// Checks the fields; answers the name.
    pub fn into_model(self) -> Result<String> {
        let Self { name } = self;
        let mut faults = Faults::default();
        faults.name("name", &name);
        faults.or(name)
    }
}

impl Example for CreateTenant {
    fn example() -> Self {
        Self {
            name: "Codepotato".into(),
        }
    }
}

/// A tenant that was just created, with its first owner key, which is shown only here.
#[derive(Clone, PartialEq, Object)]
#[oai(example)]
pub struct CreatedTenant {
    /// The tenant.
    pub tenant: Tenant,
    /// A key that acts as the tenant and may do everything within it.
    pub api_key: CreatedApiKey,
}

impl CreatedTenant {
    /// The answer to a creation.
    pub fn new(tenant: model::tenant::Tenant, key: model::key::ApiKey, text: &SecretString) -> Self {
        Self {
            tenant: tenant.into(),
            api_key: CreatedApiKey::new(key, text),
        }
    }
}

impl Example for CreatedTenant {
    fn example() -> Self {
        Self {
            tenant: Tenant::example(),
            api_key: CreatedApiKey::example(),
        }
    }
}

/// What changes about a tenant: left out is unchanged, null clears, a value sets.
#[derive(Debug, Clone, Default, PartialEq, Object)]
#[oai(deny_unknown_fields, example)]
pub struct UpdateTenant {
    /// Its name, at most 200 characters.
    #[oai(skip_serializing_if_is_none, validator(min_length = 1, max_length = 200))]
    pub name: Option<String>,
    /// A name for URLs.
    #[oai(nullable, validator(max_length = 200))]
    pub slug: MaybeUndefined<String>,
    /// A tax rate, in percent.
    #[oai(nullable)]
    pub tax: MaybeUndefined<f64>,
    /// A URL of the logo.
    #[oai(nullable, validator(max_length = 2048))]
    pub logo: MaybeUndefined<String>,
    /// A URL of the small logo.
    #[oai(nullable, validator(max_length = 2048))]
    pub logo_icon: MaybeUndefined<String>,
    /// First line of the address.
    #[oai(nullable, validator(max_length = 200))]
    pub address_1: MaybeUndefined<String>,
    /// Second line of the address.
    #[oai(nullable, validator(max_length = 200))]
    pub address_2: MaybeUndefined<String>,
    /// Town or city.
    #[oai(nullable, validator(max_length = 200))]
    pub town_city: MaybeUndefined<String>,
    /// County.
    #[oai(nullable, validator(max_length = 200))]
    pub county: MaybeUndefined<String>,
    /// Country.
    #[oai(nullable, validator(max_length = 200))]
    pub country: MaybeUndefined<String>,
    /// Postcode.
    #[oai(nullable, validator(max_length = 40))]
    pub postcode: MaybeUndefined<String>,
    /// Where invoices go. What is left out of it stays.
    #[oai(nullable)]
    pub billing: MaybeUndefined<UpdateBilling>,
    /// Colours for the tenant's own look. What is left out of it stays.
    #[oai(nullable)]
    pub brand_colours: MaybeUndefined<UpdateBrandColours>,
    /// The day on which a month ends, 1 to 31.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "31")))]
    pub month_end: MaybeUndefined<i64>,
    /// How often statements are made, such as `monthly`.
    #[oai(nullable, validator(max_length = 40))]
    pub statement_frequency: MaybeUndefined<String>,
    /// True when the tenant is subscribed.
    #[oai(nullable)]
    pub is_subscribed: MaybeUndefined<bool>,
    /// Text that a regulator wants shown.
    #[oai(nullable, validator(max_length = 20000))]
    pub regulatory_text: MaybeUndefined<String>,
    /// Greeting of the portal, as HTML.
    #[oai(nullable, validator(max_length = 20000))]
    pub welcome_paragraph_html: MaybeUndefined<String>,
    /// Greeting of mail, as HTML.
    #[oai(nullable, validator(max_length = 20000))]
    pub email_welcome_paragraph_html: MaybeUndefined<String>,
    /// A setting of the portal.
    #[oai(nullable)]
    pub show_fact_find_illustrations: MaybeUndefined<bool>,
    /// Subscriptions beside the main one.
    #[oai(nullable, validator(max_items = 100))]
    pub addon_subscriptions: MaybeUndefined<Vec<FreeObject>>,
    /// A board of tasks to start from.
    #[oai(nullable)]
    pub task_board_template: MaybeUndefined<FreeObject>,
    /// When not empty, only these addresses and CIDR ranges may use the tenant's keys; at most 500.
    #[oai(nullable, validator(max_items = 500))]
    pub ip_whitelist: MaybeUndefined<Vec<String>>,
    /// Days that a message deleted on the server is kept, 0 to 3650; null means 30.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "3650")))]
    pub keep_deleted_files_for: MaybeUndefined<i64>,
}

impl UpdateTenant {
    /// Checks the name; answers it, and the rest as a JSON merge patch (RFC 7396) for [`Profile::merge`], which checks it.
    pub fn into_model(mut self) -> Result<(Option<String>, Value)> {
        let name = self.name.take();
        let mut faults = Faults::default();
        if let Some(name) = &name {
            faults.name("name", name);
        }
        let patch = self.to_json().unwrap_or_default();
        faults.or((name, patch))
    }
}

impl Example for UpdateTenant {
    fn example() -> Self {
        Self {
            ip_whitelist: MaybeUndefined::Value(vec!["192.0.2.0/24".into()]),
            keep_deleted_files_for: MaybeUndefined::Null,
            ..Self::default()
        }
    }
}
