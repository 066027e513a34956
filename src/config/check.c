/* What no single setting can say: rules between settings. */
#include "config/check.h"

#include "codec/chars.h"
#include "codec/url.h"
#include "codec/yaml.h"

/* Blame the setting where it stands; one that only has its default, at the file's beginning. */
static void
blame(const cpn_yaml_node *root, const char *key, cpn_yaml_errors *e, const char *what)
{
    const cpn_yaml_node *n = cpn_yaml_get(root, key);

    if (n)
        cpn_yaml_error(e, n, "%s", what);
    else
        cpn_yaml_error(e, root, "%s: %s", key, what);
}

static bool
all_loopback(const cpn_config_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        cpn_addr addr;
        uint16_t port;
        if (cpn_addr_port_parse(&addr, &port, cpn_view_str(l->item[i]), NULL) != CPN_OK ||
            !cpn_addr_is_loopback(&addr))
            return false;
    }
    return true;
}

static bool
is_host(cpn_view host)
{
    for (size_t i = 0; i < host.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-.", host.p[i]) || !host.p[i])
            return false;
    return host.n > 0 && host.n <= 253 && host.p[0] != '.' && host.p[0] != '-';
}

/* https://NAME or https://NAME:PORT, lower case, nothing behind. */
static bool
is_public_url(const char *text)
{
    cpn_view v = cpn_view_str(text), host, port;
    uint64_t n = 443;

    if (!cpn_view_starts(v, "https://"))
        return false;
    if (cpn_view_cut(cpn_view_skip(v, 8), ':', &host, &port) &&
        (!cpn_view_u64(port, 65535, &n) || n == 0))
        return false;
    return is_host(host);
}

static void
check_addresses(const cpn_config *c, const cpn_yaml_node *root, cpn_yaml_errors *e)
{
    if (!all_loopback(&c->admin_listen))
        blame(root, "admin_listen", e, "serves without TLS (expected a loopback address)");
    if (c->fence_allow_loopback && !all_loopback(&c->listen))
        blame(root, "fence_allow_loopback", e,
              "for tests and demos only (expected every address of listen to be loopback)");
    if (!is_public_url(c->public_url))
        blame(root, "public_url", e, "expected https://NAME or https://NAME:PORT in lower case");
}

static void
check_files(const cpn_config *c, const cpn_yaml_node *root, cpn_yaml_errors *e)
{
    if (!c->tls_cert[0] != !c->tls_key[0])
        blame(root, c->tls_cert[0] ? "tls_cert" : "tls_key", e,
              "tls_cert and tls_key go together (expected both or neither)");
    if (!c->state_dir[0])
        blame(root, "state_dir", e, "empty (expected a directory)");
    if (strncmp(c->store, "sqlite:/", 8) != 0)
        blame(root, "store", e, "expected sqlite:/PATH");
}

static void
check_limits(const cpn_config *c, const cpn_yaml_node *root, cpn_yaml_errors *e)
{
    if (c->preauth_source_max > c->preauth_max)
        blame(root, "preauth_source_max", e, "more than preauth_max");
    if (c->penalty_threshold > c->penalty_max)
        blame(root, "penalty_threshold", e, "more than penalty_max: nobody would ever be refused");
    if (c->access_token_ttl > c->refresh_token_ttl)
        blame(root, "access_token_ttl", e, "more than refresh_token_ttl");
}

/* https, a host, no query and no fragment; a path may follow. */
static bool
is_issuer(const char *text)
{
    cpn_url url;
    cpn_view rest;

    return cpn_url_split(cpn_view_str(text), &url, &rest, NULL) == CPN_OK && url.tls &&
           !memchr(text, '?', strlen(text));
}

static void
check_provider(const cpn_config *c, const cpn_yaml_node *root, cpn_yaml_errors *e)
{
    if (!c->oidc_issuer[0]) {
        if (c->oidc_client_id[0] || c->oidc_client_secret_file[0] || c->oidc_ca[0])
            blame(root, c->oidc_client_id[0] ? "oidc_client_id" : "oidc_issuer", e,
                  "a provider is half set (expected oidc_issuer, too)");
        if (!c->oidc_local_passwords)
            blame(root, "oidc_local_passwords", e,
                  "nobody could sign in (expected oidc_issuer, too)");
        return;
    }
    if (!is_issuer(c->oidc_issuer))
        blame(root, "oidc_issuer", e, "expected https://HOST[:PORT][/PATH]");
    if (!c->oidc_client_id[0])
        blame(root, "oidc_issuer", e, "a provider is half set (expected oidc_client_id, too)");
    if (!cpn_words_have(c->oidc_scopes, "openid"))
        blame(root, "oidc_scopes", e, "expected openid among them");
}

/* Words of letters, digits and marks, with {login} and {scope}; the first names the account. */
static bool
are_principals(const char *text)
{
    cpn_view left = cpn_view_str(text), word;
    unsigned n = 0;

    while (left.n) {
        cpn_view_cut(left, ' ', &word, &left);
        if (word.n == 0 || ++n > 16)
            return false;
        if (n == 1 && memmem(word.p, word.n, "{scope}", 7))
            return false;
        while (word.n) {
            bool braced = cpn_view_starts(word, "{login}") || cpn_view_starts(word, "{scope}");

            if (!braced && !cpn_is_alnum(word.p[0]) && !memchr("@._+:-", word.p[0], 6))
                return false;
            word = cpn_view_skip(word, braced ? 7 : 1);
        }
    }
    return n > 0;
}

static bool
are_words(const char *text)
{
    for (const char *c = text; *c; c++)
        if (!cpn_is_alnum((uint8_t)*c) && !strchr(" ._-@", *c))
            return false;
    return true;
}

static void
check_ssh(const cpn_config *c, const cpn_yaml_node *root, cpn_yaml_errors *e)
{
    if (c->ssh_ca_agent[0] && c->ssh_ca_pkcs11[0])
        blame(root, "ssh_ca_pkcs11", e, "the key lies in an agent or in a token (expected one)");
    if ((c->ssh_ca_agent[0] || c->ssh_ca_pkcs11[0]) && !c->ssh_ca_key[0])
        blame(root, c->ssh_ca_agent[0] ? "ssh_ca_agent" : "ssh_ca_pkcs11", e,
              "goes with ssh_ca_key (expected the public key there)");
    if (!are_principals(c->ssh_user_principals))
        blame(root, "ssh_user_principals", e,
              "expected words of letters, digits, @._+:-, {login} and {scope}, no {scope} in the "
              "first");
    if (!are_principals(c->ssh_admin_principals))
        blame(root, "ssh_admin_principals", e,
              "expected words of letters, digits, @._+:-, {login} and {scope}, no {scope} in the "
              "first");
    if (!are_words(c->ssh_reserved_names))
        blame(root, "ssh_reserved_names", e, "expected account names");
    if (!are_words(c->ssh_cert_extensions) || c->ssh_cert_extensions[0] == '-')
        blame(root, "ssh_cert_extensions", e, "expected names of extensions");
}

void
cpn_config_check(const cpn_config *c, const cpn_yaml_node *root, cpn_yaml_errors *e)
{
    check_addresses(c, root, e);
    check_files(c, root, e);
    check_limits(c, root, e);
    check_provider(c, root, e);
    check_ssh(c, root, e);
}
