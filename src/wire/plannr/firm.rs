//! Firms: the tenants, in the shape of Plannr's firm.

use poem_openapi::{Object, types::Example};
use uuid::Uuid;

use super::{
    super::firm::{Billing, BrandColours, FreeObject, object},
    Time, example,
};
use crate::model::{self, id::TenantId, tenant::Profile};

/// A firm.
#[derive(Debug, Clone, PartialEq, Object)]
pub struct Firm {
    /// The UUID of the resource.
    pub uuid: Uuid,
    /// The timestamp of when the resource was created.
    pub created_at: Time,
    /// The timestamp of when the resource was updated.
    pub updated_at: Time,
    /// The firm's name.
    pub name: String,
    /// A tax rate, in percent.
    #[oai(nullable)]
    pub tax: Option<f64>,
    /// A URL of the logo.
    #[oai(nullable)]
    pub logo: Option<String>,
    /// A name for URLs.
    #[oai(nullable)]
    pub slug: Option<String>,
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
    /// Colours for the firm's own look.
    pub brand_colours: BrandColours,
    /// The day on which a month ends.
    #[oai(nullable)]
    pub month_end: Option<i64>,
    /// How often statements are made.
    #[oai(nullable)]
    pub statement_frequency: Option<String>,
    /// Whether the firm is subscribed.
    #[oai(nullable)]
    pub is_subscribed: Option<bool>,
    /// Text that a regulator wants shown.
    #[oai(nullable)]
    pub regulatory_text: Option<String>,
    /// Greeting of the portal.
    #[oai(nullable)]
    pub welcome_paragraph_html: Option<String>,
    /// Greeting of mail.
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
    /// When not empty, only these addresses and CIDR ranges may use the firm's tokens.
    pub ip_whitelist: Vec<String>,
    /// Days that a message deleted on the server is kept.
    #[oai(nullable)]
    pub keep_deleted_files_for: Option<i64>,
}

impl From<&model::tenant::Tenant> for Firm {
    fn from(tenant: &model::tenant::Tenant) -> Self {
        let model::tenant::Tenant {
            id: TenantId(uuid),
            name,
            profile,
            created_at,
            updated_at,
        } = tenant;
        Self::new(
            *uuid,
            name,
            profile.clone(),
            [*created_at, *updated_at].map(Into::into),
        )
    }
}

impl Firm {
    fn new(uuid: Uuid, name: &str, profile: Profile, [created_at, updated_at]: [Time; 2]) -> Self {
        let Profile {
            tax,
            logo,
            slug,
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
            uuid,
            created_at,
            updated_at,
            name: name.to_owned(),
            tax,
            logo,
            slug,
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
        }
    }
}

impl Example for Firm {
    fn example() -> Self {
        let at = example::at();
        let profile = Profile {
            country: Some("United Kingdom".into()),
            ..Profile::default()
        };
        let id = TenantId(example::id(1));
        let tenant = model::tenant::Tenant {
            id,
            name: "Codepotato".into(),
            profile,
            created_at: at,
            updated_at: at,
        };
        Self::from(&tenant)
    }
}
