//! Attachments and their content.

use poem_openapi::{
    OpenApi,
    param::{Header, Path},
    payload::Json,
};
use uuid::Uuid;

use super::{Answer, Call, Failure, Tag};
use crate::{
    api::{
        content::{ContentResponse, Served},
        downloads::entity_tag,
    },
    service::attachments,
    wire::v1::attachment::Attachment,
};

/// Handlers of attachments.
pub(super) struct Attachments;

#[OpenApi(tag = "Tag::Attachments")]
impl Attachments {
    /// Get an attachment
    ///
    /// Name, media type, size and hash of a file that a message carries. Needs the scope `messages:read`.
    #[oai(
        path = "/attachments/:attachment_id",
        method = "get",
        operation_id = "get_attachment"
    )]
    async fn get(
        &self,
        call: Call,
        /// The attachment's id.
        attachment_id: Path<Uuid>,
    ) -> Answer<Attachment> {
        Ok(Json(
            attachments::get(&call.app, call.caller()?, attachment_id.0)
                .await?
                .into(),
        ))
    }

    /// Download an attachment
    ///
    /// The decoded content, whole or a range of it. Its media type is that of `get_attachment`; here it is sent as
    /// `application/octet-stream`. Needs the scope `messages:read`.
    #[oai(
        path = "/attachments/:attachment_id/content",
        method = "get",
        operation_id = "get_attachment_content"
    )]
    async fn get_content(
        &self,
        call: Call,
        /// The attachment's id.
        attachment_id: Path<Uuid>,
        /// The part to answer: one range of bytes, such as `bytes=0-1023` (RFC 9110, section 14).
        #[oai(name = "Range")]
        range: Header<Option<String>>,
    ) -> Result<ContentResponse, Failure> {
        let (attachment, content) = attachments::content(&call.app, call.caller()?, attachment_id.0).await?;
        let entity_tag = entity_tag(&attachment.part.sha256);
        let served = Served {
            name: attachment.part.name.as_deref(),
            fallback: "attachment",
            entity_tag,
        };
        Ok(ContentResponse::of(content, &served, range.0.as_deref())?)
    }
}
