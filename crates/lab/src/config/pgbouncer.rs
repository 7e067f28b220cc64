//! PgBouncer: where clients connect, and where writes are held while the database moves.

use crate::layout;
use crate::plan::{LabPlan, Region, Secret};
use crate::secrets::Secrets;

/// Configuration of a region's pool. It always talks to its own region's load balancer; the gate there decides
/// which region that means.
#[must_use]
pub fn config(plan: &LabPlan, region: &Region) -> String {
    format!(
        "[databases]
{database} = host={lb} port={postgres} dbname={database}

[pgbouncer]
listen_addr = {address}
listen_port = {postgres}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
admin_users = {admin}
pool_mode = transaction
; Both regions' applications at their default of 8 connections each are 48 clients; the rest is for load and people.
max_client_conn = 500
; 2 cores have no use for more at once; well under the node's max_connections of 100 even if both pools point at it.
default_pool_size = 20
ignore_startup_parameters = extra_float_digits,options
; A refused or cut server connection is tried again soon, so that a move costs clients waiting and not errors.
server_login_retry = 0.1
; A load balancer one hop away answers in milliseconds, or not at all.
server_connect_timeout = 1
; Clients wait for a server longer than the longest hold (5 s), and longer than the application's own limit (10 s).
query_wait_timeout = 15
; After RESUME, connections to the old primary are closed as soon as their transaction ends.
server_fast_close = 1
server_check_delay = 0
server_check_query = select 1
; Connections are renewed each 10 minutes; idle ones go after one.
server_lifetime = 600
server_idle_timeout = 60
; A silent partition is noticed 3 s after the first unanswered byte.
tcp_user_timeout = 3000
tcp_keepalive = 1
tcp_keepidle = 5
tcp_keepintvl = 1
tcp_keepcnt = 3
dns_max_ttl = 1
log_connections = 0
log_disconnections = 0
log_stats = 0
",
        database = plan.names.database,
        admin = plan.names.management_role,
        lb = region.lb.address,
        address = region.pool.address,
        postgres = plan.ports.postgres,
        users = layout::conf("pgbouncer-users.txt").display(),
    )
}

/// Who may connect. SCRAM towards PostgreSQL needs the password itself, so this file is as private as the secrets.
#[must_use]
pub fn users(plan: &LabPlan, secrets: &Secrets) -> String {
    format!(
        "\"{}\" \"{}\"\n\"{}\" \"{}\"\n",
        plan.names.app_role,
        secrets.get(Secret::App),
        plan.names.management_role,
        secrets.get(Secret::Management)
    )
}
