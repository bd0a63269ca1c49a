"""Command lines of tenantctl about the tenant acme, for whoever may say them."""

WORKLOAD_MAY = [
    ("whoami",), ("tenant get acme",), ("tenant list",), ("tenant watch --snapshot --count 1",), ("tenant usage acme",), ("config get acme",), ("config explain acme",),
    ("tenant export acme --no-authentication",), ("policy export acme",), ("flag evaluate acme --subject user:al",), ("role get acme tenant-admin",),
    ("role list acme",), ("role assignments acme",), ("group list acme",), ("group member list acme",), ("group get acme eng",),
    ("check acme user:alice a:b", 3),
    ("token exchange --bare",), ("keys list acme",),
    ("token inspect --server", 3), ("resolve",), ("resolve --path /tenants/acme/x",), ("validate acme",),
    ("load --tenant acme --method resolve --method check --duration 0.2 --warmup 0",)]
WORKLOAD_MAY_NOT = [
    "tenant create --display-name Mine --isolation shared", "tenant clone acme --display-name Mine", "tenant update acme --display-name X",
    "tenant configure acme --flag x=true", "tenant provision acme", "tenant activate acme",
    "tenant deactivate acme", "tenant deprovision acme", "tenant delete acme",
    "tenant retire-slug acme former", "tenant begin-maintenance acme", "tenant end-maintenance acme",
    "tenant undelete acme", "tenant purge acme", "tenant hold acme --reason x", "tenant release-hold acme",
    "tenant schedule acme --suspend 1d", "tenant data acme", "tenant rotate-login acme", "tenant retire-login acme", "cluster list", "cluster audit one", "top --once",
    "operation list acme", "operation get acme", "operation watch acme",
    "role create acme mine", "role update acme mine --title X", "role delete acme mine",
    "role add-permission acme mine a:b", "role remove-permission acme mine a:b",
    "group create acme mine", "group update acme mine --title X", "group delete acme mine",
    "group member add acme mine user:alice", "group member remove acme 1",
    "role assign acme user:alice tenant-admin", "role unassign acme 1", "secrets rotate-data-key",
    "audit list acme", "audit export acme", "token issue acme user:alice --unbound",
    "token revoke acme --all", "keys rotate acme", "keys remove acme x", "auth show acme",
    "tenant batch-get acme", "domain claim acme a.net", "domain verify acme a.net",
    "domain get acme a.net", "domain list acme", "domain release acme a.net", "auth set acme --file -", "identity entry create --tenant acme --path x --uid 7", "identity entry get x",
    "identity entry list", "identity entry delete x", "pki authority prepare", "pki authority csr x",
    "pki authority import x -", "pki authority activate x", "pki authority retire x", "pki authority get x",
    "pki authority list", "setting create x --type bool", "setting get x", "setting list",
    "plan create x", "plan get x", "plan list", "plan update x --display-name y", "plan delete x",
    "flag create x", "flag get x", "flag list", "flag update x --rollout 1", "flag delete x",
    "config history acme", "config diff acme --from 1", "config revert acme --to 1", "config secret acme x", "plan history x",
    "config set acme x=1", "config unset acme x", "setting update x --description y", "setting delete x", "setting conflicts x"]
