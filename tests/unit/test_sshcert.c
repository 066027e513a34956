/* SSH certificates: who gets none, what stands in one, and the CA with the real ssh-keygen. */
#include "policy_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "identity/sshca.h"
#include "identity/sshkeygen.h"
#include "policy/sshlogin.h"

#define NOW 1767225600 /* a Thursday */

static const cpn_ssh_rules rules = { "{login} {login}@{scope}",
                                     "{login} {login}@{scope} caponier-admin@{scope}",
                                     "root daemon admin" };

/* The world with further documents: kind, id, body, …, NULL. */
static cpn_snapshot *
world_with(const char *const *more)
{
    cpn_snapshot_edit *e = edit_world();

    for (; more[0]; more += 3)
        put_ok(e, more[0], more[1], more[2]);
    return seal_ok(e);
}

#define ASSIGN(n, who, role, scope, more)                                                          \
    "roleAssignment", scope ASSIGNMENTS GUID_OF("a" n),                                            \
        "{'principalId':'" who "','role':'" role "'" more "}"
#define PERSON(name) "principal", GUID_OF("77"), "{'type':'User','name':'" name "','enabled':true}"
#define USER "Virtual Machine User Login"
#define ADMIN "Virtual Machine Administrator Login"

static cpn_rc
login(const char *const *more, const char *who, const char *target, cpn_ssh_login *out,
      cpn_err *err)
{
    cpn_snapshot *s = world_with(more);
    char id[4096], spelt[4096];
    cpn_rc rc = cpn_ssh_login_for(s, cpn_snapshot_principal(s, cpn_view_str(spell(id, who))),
                                  &rules, cpn_view_str(spell(spelt, target)), NOW, out, err);

    cpn_snapshot_unref(s);
    return rc;
}

static void
nobody_without_the_role(void **state)
{
    static const struct {
        const char *why;
        const char *more[13];
        const char *who, *target, *says;
    } refused[] = {
        { "no role", { NULL }, "$ada", "", "Virtual Machine User Login" },
        { "Owner has no data action",
          { ASSIGN("1", "$ada", "Owner", "$lab", ""), NULL },
          "$ada",
          "",
          "Virtual Machine User Login" },
        { "another machine",
          { ASSIGN("1", "$ada", USER, "$app1", ""), NULL },
          "$ada",
          "$web1",
          "virtualMachines/web1" },
        { "disabled", { ASSIGN("1", "$off", USER, "$lab", ""), NULL }, "$off", "", "disabled" },
        { "a deny above",
          { ASSIGN("1", "$ada", USER, "$web1", ""),
            ASSIGN("2", "$ada", USER, "$lab", ",'effect':'Deny'"), NULL },
          "$ada",
          "",
          "neither anywhere" },
        { "a deny below",
          { ASSIGN("1", "$ada", USER, "$lab", ""),
            ASSIGN("2", "$ada", USER, "$web1", ",'effect':'Deny'"), NULL },
          "$ada",
          "",
          "neither anywhere" },
        { "root is not given",
          { PERSON("Root@example.test"), ASSIGN("1", GUID_OF("77"), ADMIN, "$lab", ""), NULL },
          GUID_OF("77"),
          "",
          "reserved" },
        { "ours is not given",
          { PERSON("caponier-admin@example.test"), ASSIGN("1", GUID_OF("77"), ADMIN, "$lab", ""),
            NULL },
          GUID_OF("77"),
          "",
          "reserved" },
        { "two of one name",
          { PERSON("ada@other.test"), ASSIGN("1", "$ada", USER, "$lab", ""), NULL },
          "$ada",
          "",
          "two sign-in names" },
        { "a service of the same name",
          { "principal", GUID_OF("77"),
            "{'type':'ServicePrincipal','name':'Ada','appId':'99999999-2222-3333-4444-555555555500'"
            ","
            "'enabled':true}",
            ASSIGN("1", "$ada", USER, "$lab", ""), NULL },
          "$ada",
          "",
          "two sign-in names" },
        { "no letter",
          { PERSON("0815@example.test"), ASSIGN("1", GUID_OF("77"), USER, "$lab", ""), NULL },
          GUID_OF("77"),
          "",
          "no account name" },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        cpn_ssh_login *out = cpn_xcalloc(1, sizeof(*out));
        cpn_err err = { 0 };

        if (login(refused[i].more, refused[i].who, refused[i].target, out, &err) != CPN_DENIED)
            fail_msg("%s: got %s", refused[i].why, out->principals);
        if (!strstr(err.msg, refused[i].says))
            fail_msg("%s: %s", refused[i].why, err.msg);
        assert_string_equal(out->principals, "");
        free(out);
    }
}

static const char *
tag(const char *scope)
{
    static char text[CPN_SSH_TAG_SIZE];
    char spelt[4096];

    cpn_ssh_scope_tag(cpn_view_str(spell(spelt, scope)), text);
    return text;
}

static void
principals_are_the_scopes(void **state)
{
    static const char *const user[] = { ASSIGN("1", "$ada", USER, "$web1", ""), NULL };
    static const char *const admin[] = { ASSIGN("1", "$ada", ADMIN, "$lab", ""),
                                         ASSIGN("2", "$ada", USER, "$web1", ""), NULL };
    static const char *const group[] = { ASSIGN("1", "$ops", USER, "$app1", ""), NULL };
    cpn_ssh_login *out = cpn_xcalloc(1, sizeof(*out));
    char want[512];
    cpn_err err = { 0 };

    (void)state;
    assert_int_equal(login(user, "$ada", "", out, &err), CPN_OK);
    snprintf(want, sizeof(want), "ada,ada@%s", tag("$web1"));
    assert_string_equal(out->principals, want);
    assert_int_equal(login(admin, "$ada", "", out, &err), CPN_OK);
    snprintf(want, sizeof(want), "ada,ada@%s", tag("$lab"));
    snprintf(want + strlen(want), 64, ",caponier-admin@%s", tag("$lab"));
    assert_string_equal(out->principals, want); /* web1 lies in it */
    assert_int_equal(login(admin, "$ada", "$WEB1", out, &err), CPN_DENIED);
    assert_int_equal(login(admin, "$ada", "$web1", out, &err), CPN_OK);
    snprintf(want, sizeof(want), "ada,ada@%s", tag("$web1"));
    snprintf(want + strlen(want), 64, ",caponier-admin@%s", tag("$web1"));
    assert_string_equal(out->principals, want);
    assert_int_equal(login(group, "$bob", "", out, &err), CPN_OK);
    snprintf(want, sizeof(want), "bob,bob@%s", tag("$app1"));
    assert_string_equal(out->principals, want);
    assert_int_equal(login(group, "$ci", "", out, &err), CPN_OK);
    assert_string_equal(out->login, "ci");
    free(out);
}

static void
names_are_made_safe(void **state)
{
    static const struct {
        const char *name, *want;
    } cases[] = {
        { "Ada.Lovelace@example.test", "ada.lovelace" },
        { "-rf@example.test", "rf" },
        { "_apt@example.test", "apt" },
        { "a,root@example.test", "a_root" },
        { "a b\tc@example.test", "a_b_c" },
        { "\xc3\xa9lodie@example.test", "lodie" },
        { "aaaaaaaaaabbbbbbbbbbccccccccccddddd@x", "aaaaaaaaaabbbbbbbbbbccccccccccdd" },
        { "", "" },
        { "@", "" },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(cases); i++) {
        cpn_principal p = { .kind = CPN_PRINCIPAL_USER, .name = cases[i].name };
        char out[CPN_SSH_LOGIN_SIZE];

        assert_int_equal(cpn_ssh_login_name(&p, out), cases[i].want[0] != '\0');
        assert_string_equal(out, cases[i].want);
    }
    assert_string_equal(tag("/A"), tag("/a"));
}

static void
scopes_have_a_bound(void **state)
{
    cpn_snapshot_edit *e = edit_world();
    cpn_ssh_login *out = cpn_xcalloc(1, sizeof(*out));
    cpn_snapshot *s;
    char id[256], body[512], spelt[4096];
    cpn_err err = { 0 };

    (void)state;
    for (unsigned i = 0; i <= CPN_SSH_SCOPES_MAX; i++) {
        snprintf(id, sizeof(id), "$sub/resourceGroups/g%u", i);
        put_ok(e, "resourceGroup", id, "{}");
        snprintf(body, sizeof(body), "{'principalId':'$ada','role':'" USER "'}");
        strncat(id, ASSIGNMENTS GUID_OF("a1"), sizeof(id) - strlen(id) - 1);
        put_ok(e, "roleAssignment", id, body);
    }
    s = seal_ok(e);
    assert_int_equal(
        cpn_ssh_login_for(s, cpn_snapshot_principal(s, cpn_view_str(spell(spelt, "$ada"))), &rules,
                          cpn_view_str(""), NOW, out, &err),
        CPN_OK);
    assert_true(out->cut);
    assert_int_equal(out->scopes, CPN_SSH_SCOPES_MAX);
    assert_int_equal(out->principals_n, CPN_SSH_SCOPES_MAX + 1);
    cpn_snapshot_unref(s);
    free(out);
}

/* ---- the CA ---- */

static char folder[64];

static int
make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/cpn-sshca-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int
remove_folder(void **state)
{
    char path[128];

    (void)state;
    snprintf(path, sizeof(path), "%s/ssh-work", folder);
    cpn_keygen_dirs_sweep(path);
    rmdir(path);
    cpn_keygen_dirs_sweep(folder);
    for (unsigned i = 0; i < 3; i++) {
        static const char *const names[] = { "ssh-ca", "ssh-ca.pub", "slow" };

        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

typedef struct got {
    unsigned calls;
    cpn_rc rc;
    char body[CPN_SSH_CERT_MAX];
    char said[512];
} got;

static void
on_signed(void *owner, cpn_rc rc, const char *body, const cpn_err *err)
{
    got *g = owner;

    g->calls++;
    g->rc = rc;
    snprintf(g->body, sizeof(g->body), "%s", body ? body : "");
    snprintf(g->said, sizeof(g->said), "%s", err->msg);
}

static const cpn_sshkey *
some_key(void)
{
    static cpn_sshkey k;
    cpn_err err = { 0 };

    assert_int_equal(
        cpn_sshkey_read(&k,
                        CPN_VIEW_LIT("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
                                     "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"),
                        &err),
        CPN_OK);
    return &k;
}

static cpn_ssh_cert
some_cert(void)
{
    return (cpn_ssh_cert){ .key = some_key(),
                           .key_id = "-s ada; $(x)",
                           .principals = "ada,ada@00",
                           .source_address = "10.0.0.0/8,fd00::/8",
                           .extensions = "permit-pty",
                           .from_s = NOW - 60,
                           .to_s = NOW + 600,
                           .serial = UINT64_MAX };
}

static void
the_ca_signs(void **state)
{
    cpn_ssh_ca_options o = {
        .state_dir = folder, .key = "", .agent = "", .pkcs11 = "", .timeout_ms = 20000
    };
    cpn_ssh_cert cert = some_cert();
    got *g = cpn_xcalloc(2, sizeof(*g));
    char path[128], line[CPN_SSH_CA_LINE_MAX];
    cpn_ssh_ca *ca = NULL;
    cpn_err err = { 0 };
    struct stat st;
    uv_loop_t loop;

    (void)state;
    uv_loop_init(&loop);
    assert_int_equal(cpn_ssh_ca_open(&ca, &loop, &o, &err), CPN_OK);
    snprintf(line, sizeof(line), "%s", cpn_ssh_ca_public(ca));
    assert_memory_equal(line, "ssh-ed25519 AAAA", 16);
    cpn_ssh_ca_free(ca);
    assert_int_equal(cpn_ssh_ca_open(&ca, &loop, &o, &err), CPN_OK); /* the same key again */
    assert_string_equal(cpn_ssh_ca_public(ca), line);
    snprintf(path, sizeof(path), "%s/ssh-ca", folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(cpn_ssh_ca_sign(ca, &cert, on_signed, &g[0]), CPN_OK);
    cert.extensions = "no-such-extension";
    assert_int_equal(cpn_ssh_ca_sign(ca, &cert, on_signed, &g[1]), CPN_OK);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(g[0].calls + g[1].calls, 2);
    if (g[0].rc != CPN_OK)
        fail_msg("%s", g[0].said);
    assert_true(strlen(g[0].body) > 200);
    assert_int_equal(g[1].rc, CPN_E_SYS);
    assert_non_null(strstr(g[1].said, "ssh-keygen"));
    snprintf(path, sizeof(path), "%s/ssh-work", folder);
    assert_int_equal(rmdir(path), 0); /* nothing is left in it */
    cpn_ssh_ca_free(ca);
    uv_loop_close(&loop);
    free(g);
}

static void
a_ca_that_is_not_ready_is_refused(void **state)
{
    cpn_ssh_ca_options o = { .state_dir = folder,
                             .key = "",
                             .agent = "",
                             .pkcs11 = "",
                             .timeout_ms = 20000,
                             .program = "/no/such/program" };
    cpn_ssh_ca *ca = NULL;
    cpn_err err = { 0 };
    char path[128];

    (void)state;
    assert_int_equal(cpn_ssh_ca_open(&ca, NULL, &o, &err), CPN_NOT_FOUND);
    o.program = NULL;
    o.key = "/no/such/key";
    assert_int_equal(cpn_ssh_ca_open(&ca, NULL, &o, &err), CPN_E_CONF);
    snprintf(path, sizeof(path), "%s/ssh-ca", folder);
    o.key = path;
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(cpn_ssh_ca_open(&ca, NULL, &o, &err), CPN_E_CONF);
    assert_int_equal(chmod(path, 0600), 0);
}

/* A child that never ends is killed; the queue has an end. */
static void
children_are_bounded(void **state)
{
    cpn_ssh_ca_options o = {
        .state_dir = folder, .key = "", .agent = "", .pkcs11 = "", .timeout_ms = 50
    };
    cpn_ssh_cert cert = some_cert();
    unsigned n = CPN_SSH_CA_RUNNING + CPN_SSH_CA_WAITING;
    got *g = cpn_xcalloc(n + 1, sizeof(*g));
    cpn_ssh_ca *ca = NULL;
    cpn_err err = { 0 };
    char path[128];
    uv_loop_t loop;
    FILE *f;

    (void)state;
    snprintf(path, sizeof(path), "%s/slow", folder);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("#!/bin/sh\nexec sleep 100\n", f);
    fclose(f);
    chmod(path, 0700);
    o.program = path;
    uv_loop_init(&loop);
    assert_int_equal(cpn_ssh_ca_open(&ca, &loop, &o, &err), CPN_OK);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(cpn_ssh_ca_sign(ca, &cert, on_signed, &g[i]), CPN_OK);
    assert_int_equal(cpn_ssh_ca_sign(ca, &cert, on_signed, &g[n]), CPN_LIMIT);
    while (g[0].calls + g[1].calls < 2)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(g[0].rc, CPN_UNAVAILABLE);
    cpn_ssh_ca_free(ca); /* the rest is dropped */
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    assert_int_equal(g[n].calls, 0);
    free(g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_without_the_role),
        cmocka_unit_test(principals_are_the_scopes),
        cmocka_unit_test(names_are_made_safe),
        cmocka_unit_test(scopes_have_a_bound),
        cmocka_unit_test(the_ca_signs),
        cmocka_unit_test(a_ca_that_is_not_ready_is_refused),
        cmocka_unit_test(children_are_bounded),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
