/* Finds out which gateway is meant. */
#include "client/gateway.h"

#include <string.h>

#include "client/slurp.h"
#include "codec/yaml.h"

#define FILE_MAX 65536

static void
read_text(const cpn_yaml_node *root, const char *key, char *out, size_t size, cpn_yaml_errors *e)
{
    const cpn_yaml_node *n = cpn_yaml_get(root, key);
    cpn_view v;

    if (n && cpn_yaml_string(n, &v, e) == CPN_OK && !cpn_view_copy(v, out, size))
        (void)cpn_yaml_error(e, n, "too long");
}

cpn_rc
cpn_gateway_file_read(const char *path, cpn_gateway_file *out, cpn_err *err)
{
    static const char *const keys[] = { "gateway", "ca", NULL };
    CPN_AUTO(cpn_yaml_errors_auto) cpn_yaml_errors e = { .file = path };
    CPN_AUTO(cpn_yaml_auto) cpn_yaml *y = NULL;
    cpn_buf text = { .max = FILE_MAX };
    const cpn_yaml_node *root;
    cpn_rc rc = cpn_slurp(path, &text, err);

    if (rc == CPN_NOT_FOUND) {
        err->msg[0] = '\0';
        return CPN_OK;
    }
    if (rc == CPN_OK && cpn_yaml_parse(&y, cpn_buf_view(&text), FILE_MAX, &e) == CPN_OK) {
        root = cpn_yaml_root(y);
        if (cpn_yaml_expect_map(root, &e) == CPN_OK &&
            cpn_yaml_known_keys(root, keys, &e) == CPN_OK) {
            read_text(root, "gateway", out->gateway, sizeof(out->gateway), &e);
            read_text(root, "ca", out->ca, sizeof(out->ca), &e);
        }
    }
    cpn_buf_fini(&text);
    return e.n ? cpn_fail(err, CPN_E_CONF, "%s", e.line[0]) : rc;
}

cpn_rc
cpn_gateway_choose(const char *flag, const char *stored, const cpn_gateway_file *file, cpn_url *out,
                   cpn_err *err)
{
    const char *text = flag ? flag : stored ? stored : file->gateway[0] ? file->gateway : NULL;
    cpn_rc rc;

    if (!text)
        return cpn_fail(
            err, CPN_INVALID,
            "which gateway? Name it with --gateway URL or CAPONIER_GATEWAY, sign in with "
            "'caponier login --gateway URL', or set it in " CPN_CLIENT_YAML);
    if (!cpn_view_starts_nocase(cpn_view_str(text), "https://"))
        return cpn_fail(err, CPN_INVALID,
                        "the gateway '%s' must be an https URL, such as "
                        "https://bastion.example.org",
                        text);
    rc = cpn_url_parse(cpn_view_str(text), out, err);
    return rc == CPN_OK ? rc : cpn_ctx(err, rc, "the gateway '%s'", text);
}
