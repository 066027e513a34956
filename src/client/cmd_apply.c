/* caponier apply: make the gateway's inventory what a file says. */
#include <stdio.h>
#include <string.h>

#include "client/inventory.h"
#include "client/out.h"
#include "client/printable.h"
#include "client/prompt.h"
#include "client/rows.h"
#include "client/slurp.h"
#include "model/resource.h"

static const cpn_opt opts[] = {
    { .name = "file",
      .letter = 'f',
      .arg = "FILE",
      .help = "the inventory; - is standard input",
      .must = true },
    { .name = "dry-run", .help = "show what would change, and change nothing" },
    { .name = "yes", .letter = 'y', .help = "do not ask before changing" },
    { 0 },
};

static void
say_errors(const cpn_yaml_errors *e)
{
    for (size_t i = 0; i < e->n && i < CPN_YAML_ERRORS; i++)
        cpn_say_plain("%s", e->line[i]);
    if (e->n > CPN_YAML_ERRORS)
        cpn_say_plain("… and %zu more", e->n - CPN_YAML_ERRORS);
}

static cpn_rc
read_file(const char *path, const json_t *known, cpn_inventory *out, cpn_err *err)
{
    CPN_AUTO(cpn_yaml_errors_auto)
    cpn_yaml_errors errors = { .file = strcmp(path, "-") ? path : "(standard input)" };
    cpn_buf text = { .max = CPN_INVENTORY_BYTES };
    cpn_rc rc = cpn_slurp(path, &text, err);

    if (rc == CPN_NOT_FOUND)
        rc = cpn_ctx(err, CPN_INVALID, "--file"); /* nothing of the gateway's is missing */
    if (rc == CPN_OK && cpn_inventory_read(out, cpn_buf_view(&text), known, &errors) != CPN_OK) {
        say_errors(&errors);
        rc = cpn_fail(err, CPN_INVALID, "%s has %zu error%s; nothing was sent", errors.file,
                      errors.n, errors.n == 1 ? "" : "s");
    }
    cpn_buf_fini(&text);
    return rc;
}

static bool
is_whole(const cpn_inventory *inv, const char *kind)
{
    const json_t *k;
    size_t i;

    json_array_foreach(inv->whole, i, k)
    {
        if (strcmp(json_string_value(k), kind) == 0)
            return true;
    }
    return false;
}

static bool
has_document(const cpn_inventory *inv, const char *kind, const char *id)
{
    const json_t *d;
    size_t i;

    json_array_foreach(inv->documents, i, d)
    {
        if (strcmp(json_string_value(json_object_get(d, "kind")), kind) == 0 &&
            strcmp(json_string_value(json_object_get(d, "id")), id) == 0)
            return true;
    }
    return false;
}

/* Principals of the kinds that the file has no list of, and oneself. */
static bool
keep_principal(const cpn_api *a, const cpn_inventory *inv, const json_t *d)
{
    static const struct {
        const char *type;
        unsigned list;
    } types[] = { { "User", CPN_INVENTORY_USERS },
                  { "ServicePrincipal", CPN_INVENTORY_SERVICES },
                  { "Group", CPN_INVENTORY_GROUPS } };
    const char *type = json_string_value(json_object_get(json_object_get(d, "body"), "type"));
    const char *id = json_string_value(json_object_get(d, "id"));

    if (!type || !id || has_document(inv, CPN_KIND_PRINCIPAL, id))
        return false;
    for (size_t i = 0; i < CPN_COUNT(types); i++)
        if (strcmp(type, types[i].type) == 0 && !(inv->people & types[i].list))
            return true;
    return a->ctx.object_id && strcmp(id, a->ctx.object_id) == 0;
}

/* One's own roles: nobody locks himself out by a list that forgets him. */
static bool
keep_assignment(const cpn_api *a, const cpn_inventory *inv, const json_t *d)
{
    const char *who = json_string_value(json_object_get(json_object_get(d, "body"), "principalId"));
    const char *id = json_string_value(json_object_get(d, "id"));

    return who && id && a->ctx.object_id && strcmp(who, a->ctx.object_id) == 0 &&
           !has_document(inv, CPN_KIND_ASSIGNMENT, id);
}

/* `whole` speaks of kinds, a file of lists: what the file does not mean to remove goes along. */
static cpn_rc
carry_over(cpn_api *a, cpn_inventory *inv, const char *kind,
           bool (*keep)(const cpn_api *a, const cpn_inventory *inv, const json_t *d), cpn_err *err)
{
    json_auto_t *all = NULL;
    json_t *d;
    size_t i;
    cpn_rc rc;

    if (!is_whole(inv, kind))
        return CPN_OK;
    rc = cpn_api_documents(a, kind, NULL, &all, err);
    json_array_foreach(json_object_get(all, "value"), i, d)
    {
        if (keep(a, inv, d))
            json_array_append(inv->documents, d);
    }
    return rc;
}

static cpn_rc
print_list(cpn_buf *out, const cpn_cli *cli, const json_t *list, const char *sign,
           const char *colour)
{
    const json_t *d;
    size_t i;
    cpn_rc rc = CPN_OK;

    json_array_foreach((json_t *)list, i, d)
    {
        if (rc == CPN_OK)
            rc = cpn_buf_printf(out, "%s%s ", cli->colour ? colour : "", sign);
        if (rc == CPN_OK)
            rc = cpn_out_cell(out, d, "kind");
        if (rc == CPN_OK)
            rc = cpn_buf_printf(out, " ");
        if (rc == CPN_OK)
            rc = cpn_out_cell(out, d, "id");
        if (rc == CPN_OK)
            rc = cpn_buf_printf(out, "%s\n", cli->colour ? "\033[0m" : "");
    }
    return rc;
}

static cpn_rc
print_difference(cpn_cli *cli, const json_t *answer, cpn_err *err)
{
    static const struct {
        const char *key, *sign, *colour;
    } kinds[] = { { "created", "+", "\033[32m" },
                  { "changed", "~", "\033[33m" },
                  { "deleted", "-", "\033[31m" } };
    cpn_buf out = { .max = (size_t)64 << 20 };
    json_int_t same = json_integer_value(json_object_get(answer, "unchanged"));
    size_t n = 0;
    cpn_rc rc = CPN_OK;

    if (cli->format == CPN_FORMAT_JSON)
        return cpn_out_object(cli, answer, NULL, err);
    for (size_t i = 0; i < CPN_COUNT(kinds) && rc == CPN_OK; i++) {
        const json_t *list = json_object_get(answer, kinds[i].key);

        n += json_array_size(list);
        rc = print_list(&out, cli, list, kinds[i].sign, kinds[i].colour);
    }
    if (rc == CPN_OK && n == 0 && cli->format == CPN_FORMAT_TABLE)
        rc = cpn_buf_printf(
            &out, "Nothing changes; %" JSON_INTEGER_FORMAT " are as the file says.\n", same);
    if (rc == CPN_OK)
        fwrite(out.p, 1, out.n, stdout);
    cpn_buf_fini(&out);
    return rc == CPN_OK ? rc : cpn_fail(err, CPN_E_NOMEM, "the difference is too long to print");
}

static cpn_rc
send_it(cpn_api *a, const cpn_inventory *inv, bool dry, json_t **answer, cpn_err *err)
{
    json_auto_t *body = json_pack("{s:O, s:O}", "documents", inv->documents, "whole", inv->whole);

    return cpn_api_call(a, "POST", dry ? "/v1/apply?dryRun=true" : "/v1/apply", body, answer, err);
}

static cpn_rc
confirm(cpn_api *a, const cpn_inventory *inv, cpn_err *err)
{
    json_auto_t *difference = NULL;
    cpn_rc rc = send_it(a, inv, true, &difference, err);

    if (rc == CPN_OK)
        rc = print_difference(a->cli, difference, err);
    fflush(stdout);
    if (rc == CPN_OK)
        rc = cpn_ask_yes("Apply this? [y/N]", "--yes or --dry-run", err);
    if (rc == CPN_DENIED && !err->msg[0])
        return cpn_fail(err, CPN_EXISTS, "nothing was changed");
    return rc;
}

static cpn_rc
apply(cpn_api *a, const char *path, cpn_inventory *inv, cpn_err *err)
{
    bool dry = cpn_args_has(&a->cli->args, "dry-run");
    bool asked = dry || cpn_args_has(&a->cli->args, "yes");
    json_auto_t *known = NULL;
    json_auto_t *answer = NULL;
    cpn_rc rc = cpn_rows(a, CPN_KIND_PRINCIPAL, NULL, &known, err);

    if (rc == CPN_OK)
        rc = read_file(path, known, inv, err);
    if (rc == CPN_OK)
        rc = carry_over(a, inv, CPN_KIND_PRINCIPAL, keep_principal, err);
    if (rc == CPN_OK)
        rc = carry_over(a, inv, CPN_KIND_ASSIGNMENT, keep_assignment, err);
    if (rc == CPN_OK && !asked)
        rc = confirm(a, inv, err);
    if (rc == CPN_OK)
        rc = send_it(a, inv, dry, &answer, err);
    if (rc == CPN_OK && asked)
        rc = print_difference(a->cli, answer, err);
    return rc;
}

static cpn_rc
apply_run(cpn_cli *cli, cpn_err *err)
{
    const char *path = cpn_args_get(&cli->args, "file");
    cpn_inventory inv = { 0 };
    cpn_api a = { 0 };
    cpn_rc rc = cpn_api_open(&a, cli, err);

    if (rc == CPN_OK)
        rc = apply(&a, path, &inv, err);
    cpn_inventory_fini(&inv);
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_apply = {
    .name = "apply",
    .brief = "Make the gateway's inventory what a file says",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .examples = (const cpn_example[]){ { "caponier apply -f lab.yaml --dry-run",
                                         "+ would be made, ~ changed, - removed" },
                                       { "caponier apply -f lab.yaml --yes", "from a script" },
                                       { 0 } },
    .run = apply_run,
};
