//! API keys, and the tokens that are made from them.

use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use super::{Answer, Body, Call, Failure, OptionalBody, Tag, default_limit, page};
use crate::{
    api::answers::{Created, Gone},
    service::{keys, tokens},
    wire::v1::{
        api_key::{ApiKey, CreateApiKey, CreatedApiKey},
        page::ApiKeyList,
        token::{CreateToken, Token},
    },
};

/// Handlers of API keys and tokens.
pub(super) struct ApiKeys;

#[OpenApi(tag = "Tag::ApiKeys")]
impl ApiKeys {
    /// List API keys
    ///
    /// The keys of the tenant, revoked ones included; never their secrets.
    #[oai(path = "/api-keys", method = "get", operation_id = "list_api_keys")]
    async fn list(
        &self,
        call: Call,
        /// Rows on a page, 1 to 200.
        #[oai(
            default = "default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u16>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<ApiKeyList> {
        let page = page(Some(limit.0), cursor.0.as_deref())?;
        Ok(Json(keys::list(&call.app, call.caller()?, page).await?.into()))
    }

    /// Create an API key
    ///
    /// The key is shown only here. It cannot do more than the credential that makes it: no further scope, no later
    /// expiry, and, unless the caller is an owner or acts as the tenant, no other member than its own. Needs the scope
    /// `keys:write`.
    #[oai(path = "/api-keys", method = "post", operation_id = "create_api_key")]
    async fn create(&self, call: Call, body: Body<CreateApiKey>) -> Result<Created<CreatedApiKey>, Failure> {
        let (key, text) = keys::create(&call.app, call.caller()?, body.0.into_model()?).await?;
        Ok(Created::Created(Json(CreatedApiKey::new(key, &text))))
    }

    /// Get an API key
    ///
    /// One key of the tenant, without its secret.
    #[oai(path = "/api-keys/:key_id", method = "get", operation_id = "get_api_key")]
    async fn get(
        &self,
        call: Call,
        /// The key's id.
        key_id: Path<Uuid>,
    ) -> Answer<ApiKey> {
        Ok(Json(keys::get(&call.app, call.caller()?, key_id.0).await?.into()))
    }

    /// Revoke an API key
    ///
    /// It stops at once, with the tokens that were made from it, and stays in the list. Needs the scope `keys:write` and
    /// the role `owner`, but for a key of the caller's own member.
    #[oai(
        path = "/api-keys/:key_id",
        method = "delete",
        operation_id = "revoke_api_key"
    )]
    async fn revoke(
        &self,
        call: Call,
        /// The key's id.
        key_id: Path<Uuid>,
    ) -> Result<Gone, Failure> {
        keys::revoke(&call.app, call.caller()?, key_id.0).await?;
        Ok(Gone::Gone)
    }

    /// Rotate an API key
    ///
    /// Gives the key a new secret, which is shown only here; the old one stops at once. Its id, name and scopes stay.
    /// The rules of creating a key hold. Needs the scope `keys:write`.
    #[oai(
        path = "/api-keys/:key_id/rotate",
        method = "post",
        operation_id = "rotate_api_key"
    )]
    async fn rotate(
        &self,
        call: Call,
        /// The key's id.
        key_id: Path<Uuid>,
    ) -> Answer<CreatedApiKey> {
        let (key, text) = keys::rotate(&call.app, call.caller()?, key_id.0).await?;
        Ok(Json(CreatedApiKey::new(key, &text)))
    }

    /// Create a token
    ///
    /// A JWT that works for 15 minutes, or as long as the key where that is less, with the same scopes or fewer. Send it
    /// as `Authorization: Bearer TOKEN`. It stops when its key is revoked.
    #[oai(path = "/tokens", method = "post", operation_id = "create_token")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async functions only")]
    async fn create_token(
        &self,
        call: Call,
        body: OptionalBody<CreateToken>,
    ) -> Result<Created<Token>, Failure> {
        let now = call.app.clock.now();
        let token = tokens::create(&call.app, call.caller()?, body.0.into_model()?)?;
        Ok(Created::Created(Json(Token::new(
            &token.text.into(),
            token.scopes,
            now,
            token.expires_at,
        ))))
    }
}
