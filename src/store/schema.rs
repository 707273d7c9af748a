//! The tables, once for both databases; `migrations/` is what makes them.

/// Declares a table whose columns may be of the store's own SQL types.
macro_rules! tables {
    ($($name:ident ($($key:ident),+) { $($(#[$meta:meta])* $column:ident -> $type:ty,)+ })+) => { $(
        diesel::table! {
            use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text};
            use crate::store::types::{Guid, Instant};

            $name ($($key),+) { $($(#[$meta])* $column -> $type,)+ }
        }
    )+ };
}

tables! {
    tenants (id) {
        id -> Guid,
        name -> Text,
        profile -> Text,
        data_key -> Binary,
        created_at -> Instant,
        updated_at -> Instant,
    }

    members (tenant_id, id) {
        tenant_id -> Guid,
        id -> Guid,
        first_name -> Text,
        last_name -> Text,
        email -> Text,
        email_key -> Text,
        role -> Text,
        created_at -> Instant,
        updated_at -> Instant,
    }

    api_keys (tenant_id, id) {
        tenant_id -> Guid,
        id -> Guid,
        lookup -> Text,
        hash -> Binary,
        name -> Text,
        scopes -> Text,
        member_id -> Nullable<Guid>,
        expires_at -> Nullable<Instant>,
        revoked_at -> Nullable<Instant>,
        created_at -> Instant,
    }

    agents (tenant_id, id) {
        tenant_id -> Guid,
        id -> Guid,
        kind -> Text,
        name -> Text,
        active_revision_id -> Guid,
        created_at -> Instant,
        updated_at -> Instant,
    }

    agent_revisions (tenant_id, id) {
        tenant_id -> Guid,
        id -> Guid,
        agent_id -> Guid,
        number -> BigInt,
        description -> Nullable<Text>,
        created_at -> Instant,
    }

    mailboxes (tenant_id, id) {
        tenant_id -> Guid,
        id -> Guid,
        address -> Text,
        address_key -> Text,
        name -> Nullable<Text>,
        provider -> Text,
        enabled -> Bool,
        has_credentials -> Bool,
        phase -> Text,
        connected_before -> Bool,
        halted -> Bool,
        message_count -> BigInt,
        created_by -> Nullable<Guid>,
        agent_id -> Nullable<Guid>,
        agent_revision_id -> Nullable<Guid>,
        team_id -> Nullable<Guid>,
        team_revision_id -> Nullable<Guid>,
        default_signature_html -> Nullable<Text>,
        capabilities -> Text,
        external_account_id -> Nullable<Text>,
        error_code -> Nullable<Text>,
        error_message -> Nullable<Text>,
        error_since -> Nullable<Instant>,
        last_synced_at -> Nullable<Instant>,
        sync_folder -> Nullable<Text>,
        sync_done -> BigInt,
        sync_total -> BigInt,
        retired_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
        event_sequence -> Nullable<BigInt>,
        backfilled_at -> Nullable<Instant>,
    }

    mailbox_credentials (tenant_id, mailbox_id, service) {
        tenant_id -> Guid,
        mailbox_id -> Guid,
        service -> Text,
        host -> Text,
        port -> Integer,
        security -> Text,
        username -> Text,
        auth -> Text,
        secret -> Binary,
    }

    mailbox_leases (tenant_id, mailbox_id) {
        tenant_id -> Guid,
        mailbox_id -> Guid,
        owner -> Nullable<Text>,
        epoch -> BigInt,
        until -> Instant,
    }

    nodes (name) {
        name -> Text,
        worker -> Bool,
        held -> BigInt,
        until -> Instant,
    }

    folders (tenant_id, id) {
        tenant_id -> Guid,
        id -> Guid,
        mailbox_id -> Guid,
        raw_name -> Binary,
        name -> Text,
        delimiter -> Nullable<Text>,
        role -> Nullable<Text>,
        object_id -> Nullable<Text>,
        uid_validity -> BigInt,
        last_uid -> BigInt,
        backfill_low -> BigInt,
        highest_modseq -> BigInt,
        message_count -> BigInt,
        missing -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }

    threads (tenant_id, id) {
        tenant_id -> Guid,
        id -> Guid,
        mailbox_id -> Guid,
        subject -> Nullable<Text>,
        message_count -> BigInt,
        last_message_at -> Instant,
        merged_into -> Nullable<Guid>,
        created_at -> Instant,
    }

    thread_refs (tenant_id, mailbox_id, ref_hash) {
        tenant_id -> Guid,
        mailbox_id -> Guid,
        ref_hash -> Binary,
        thread_id -> Guid,
    }

    messages (tenant_id, id) {
        tenant_id -> Guid,
        id -> Guid,
        mailbox_id -> Guid,
        thread_id -> Guid,
        dedupe_key -> Binary,
        message_id -> Nullable<Text>,
        in_reply_to -> Nullable<Text>,
        refs -> Text,
        subject -> Nullable<Text>,
        participants -> Text,
        sent_at -> Instant,
        received_at -> Instant,
        snippet -> Text,
        incoming -> Bool,
        unread -> Bool,
        flags -> Text,
        folder_ids -> Text,
        size -> BigInt,
        truncated -> Bool,
        has_attachments -> Bool,
        sha256 -> Binary,
        in_blobs -> Bool,
        deleted_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
    }

    message_bodies (tenant_id, message_id) {
        tenant_id -> Guid,
        message_id -> Guid,
        text -> Nullable<Text>,
        html -> Nullable<Text>,
    }

    message_raws (tenant_id, message_id) {
        tenant_id -> Guid,
        message_id -> Guid,
        data -> Binary,
    }

    message_addresses (tenant_id, address_key, kind, message_id) {
        tenant_id -> Guid,
        address_key -> Text,
        kind -> Text,
        message_id -> Guid,
    }

    attachments (tenant_id, id) {
        tenant_id -> Guid,
        id -> Guid,
        mailbox_id -> Guid,
        message_id -> Guid,
        position -> Integer,
        name -> Nullable<Text>,
        content_type -> Text,
        size -> BigInt,
        inline -> Bool,
        content_id -> Nullable<Text>,
        sha256 -> Binary,
        span_offset -> BigInt,
        span_length -> BigInt,
        encoding -> Text,
        created_at -> Instant,
    }

    placements (tenant_id, folder_id, uid_validity, uid) {
        tenant_id -> Guid,
        folder_id -> Guid,
        uid_validity -> BigInt,
        uid -> BigInt,
        mailbox_id -> Guid,
        message_id -> Guid,
        flags -> Text,
    }

    moves (tenant_id, message_id) {
        tenant_id -> Guid,
        message_id -> Guid,
        mailbox_id -> Guid,
        until -> Instant,
    }

    quarantine (tenant_id, folder_id, uid_validity, uid) {
        tenant_id -> Guid,
        folder_id -> Guid,
        uid_validity -> BigInt,
        uid -> BigInt,
        reason -> Text,
        created_at -> Instant,
        tried_at -> Nullable<Instant>,
    }

    event_counters (tenant_id) {
        tenant_id -> Guid,
        position -> BigInt,
    }

    events (tenant_id, position) {
        tenant_id -> Guid,
        position -> BigInt,
        id -> Guid,
        #[sql_name = "type"]
        kind -> Text,
        mailbox_id -> Nullable<Guid>,
        sequence -> Nullable<BigInt>,
        message_id -> Nullable<Guid>,
        agent_id -> Nullable<Guid>,
        detail -> Nullable<Text>,
        created_at -> Instant,
    }

    webhook_endpoints (tenant_id, id) {
        tenant_id -> Guid,
        id -> Guid,
        member_id -> Nullable<Guid>,
        url -> Text,
        description -> Nullable<Text>,
        filter -> Text,
        enabled -> Bool,
        disabled_at -> Nullable<Instant>,
        disabled_reason -> Nullable<Text>,
        secret -> Binary,
        old_secret -> Nullable<Binary>,
        old_secret_until -> Nullable<Instant>,
        position -> BigInt,
        due_at -> Nullable<Instant>,
        failures -> Integer,
        failing_since -> Nullable<Instant>,
        open_until -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
        form -> Text,
        events -> Nullable<Text>,
        last_attempt_at -> Nullable<Instant>,
    }

    webhook_deliveries (tenant_id, id) {
        tenant_id -> Guid,
        id -> Guid,
        endpoint_id -> Guid,
        position -> BigInt,
        mailbox_id -> Nullable<Guid>,
        status -> Text,
        attempts -> Integer,
        claim -> BigInt,
        due_at -> Nullable<Instant>,
        attempted_at -> Nullable<Instant>,
        duration_ms -> Nullable<BigInt>,
        response_status -> Nullable<Integer>,
        response_body -> Nullable<Text>,
        error -> Nullable<Text>,
        created_at -> Instant,
    }

    search_queue (tenant_id, message_id) {
        tenant_id -> Guid,
        message_id -> Guid,
        queued_at -> Instant,
    }
    search_documents (tenant_id, message_id) {
        tenant_id -> Guid,
        message_id -> Guid,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    agent_revisions,
    agents,
    api_keys,
    attachments,
    event_counters,
    events,
    folders,
    mailbox_credentials,
    mailbox_leases,
    mailboxes,
    members,
    message_addresses,
    message_bodies,
    message_raws,
    messages,
    moves,
    nodes,
    placements,
    quarantine,
    search_documents,
    search_queue,
    tenants,
    thread_refs,
    threads,
    webhook_deliveries,
    webhook_endpoints,
);
