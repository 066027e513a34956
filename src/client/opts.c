/* Reads a command line against a command's table of options. */
#include "client/opts.h"

#include <stdlib.h>
#include <string.h>

#include "base/view.h"
#include "codec/chars.h"

static const cpn_opt calls_opts[] = {
    { .name = "gateway",
      .arg = "URL",
      .def = "CAPONIER_GATEWAY, the stored sign-in, /etc/caponier/client.yaml",
      .help = "the gateway to talk to" },
    { .name = "account",
      .arg = "NAME",
      .def = "the one signed in with, or chosen, last",
      .help = "whose sign-in to use, when there are several" },
    { .name = "ca",
      .arg = "FILE",
      .def = "the file given at login, else /etc/ssl/certs",
      .help = "trust the certificates in this PEM file only" },
    { 0 }
};
static const cpn_opt prints_opts[] = { { .name = "output",
                                         .letter = 'o',
                                         .arg = "FORMAT",
                                         .def = "table",
                                         .help = "json, table or tsv (no heading, tabs)" },
                                       { 0 } };
static const cpn_opt help_opts[] = {
    { .name = "help", .letter = 'h', .help = "explain the command and its options" }, { 0 }
};

static void
options_add(const cpn_opt *table, const cpn_opt *out[CPN_OPTS_MAX], unsigned *n)
{
    for (; table && table->name; table++) {
        if (*n == CPN_OPTS_MAX)
            abort(); /* a table of ours outgrew the number beside it */
        out[(*n)++] = table;
    }
}

unsigned
cpn_cmd_options(const cpn_cmd *cmd, const cpn_opt *out[CPN_OPTS_MAX])
{
    unsigned n = 0;

    options_add(cmd->opts, out, &n);
    if (cmd->flags & CPN_CMD_CALLS)
        options_add(calls_opts, out, &n);
    if (cmd->flags & CPN_CMD_PRINTS)
        options_add(prints_opts, out, &n);
    options_add(help_opts, out, &n);
    return n;
}

/* The index of an option written as "--name" or "-n"; text is what follows the dashes. */
static int
find(const cpn_args *a, cpn_view name, bool is_long)
{
    for (unsigned i = 0; i < a->opts; i++)
        if (is_long ? cpn_view_is(name, a->opt[i]->name)
                    : a->opt[i]->letter == (char)name.p[0] || a->opt[i]->also == (char)name.p[0])
            return (int)i;
    return -1;
}

/* The option that was probably meant: one with the same first three letters. */
static const char *
nearest(const cpn_args *a, cpn_view name)
{
    for (unsigned i = 0; i < a->opts; i++)
        if (name.n >= 3 && strncmp(a->opt[i]->name, (const char *)name.p, 3) == 0)
            return a->opt[i]->name;
    return NULL;
}

static cpn_rc
unknown(const cpn_args *a, const cpn_cmd *cmd, const char *word, cpn_view name, cpn_err *err)
{
    const char *near = nearest(a, name);

    if (near)
        return cpn_fail(err, CPN_INVALID, "unknown option %s; is --%s meant?", word, near);
    if (cmd->others)
        return cpn_fail(err, CPN_INVALID, "unknown option %s; %s", word, cmd->others);
    return cpn_fail(err, CPN_INVALID, "unknown option %s", word);
}

/* Keep the value of option i. used: how many further words it took. */
static cpn_rc
take(cpn_args *a, unsigned i, const char *attached, const char *next, int *used, cpn_err *err)
{
    const cpn_opt *o = a->opt[i];

    if (o->refused)
        return cpn_fail(err, CPN_INVALID, "--%s is not accepted: %s", o->name, o->refused);
    if (a->value[i] && !o->many)
        return cpn_fail(err, CPN_INVALID, "--%s is given twice", o->name);
    if (o->many && a->eachs == CPN_ARGS_MAX)
        return cpn_fail(err, CPN_INVALID, "--%s is given more than %d times", o->name,
                        CPN_ARGS_MAX);
    if (!o->arg && attached)
        return cpn_fail(err, CPN_INVALID, "--%s takes no value", o->name);
    if (!o->arg) {
        a->value[i] = "";
        return CPN_OK;
    }
    a->value[i] = attached ? attached : next;
    *used = attached ? 0 : 1;
    if (!a->value[i])
        return cpn_fail(err, CPN_INVALID, "--%s needs a value (%s)", o->name, o->arg);
    /* No request could say it; left out, it would mean something else. */
    if (strcmp(o->arg, "FILE") != 0 && !cpn_is_utf8(cpn_view_str(a->value[i])))
        return cpn_fail(err, CPN_INVALID, "the value of --%s is not UTF-8", o->name);
    if (o->many)
        a->each[a->eachs++] = a->value[i];
    return CPN_OK;
}

/* "-n VALUE", "-nVALUE", and letters of switches in one word: "-rp". */
static cpn_rc
parse_letters(cpn_args *a, const cpn_cmd *cmd, const char *word, const char *next, int *used,
              cpn_err *err)
{
    cpn_rc rc = CPN_OK;

    for (const char *p = word + 1; *p && rc == CPN_OK; p++) {
        int i = find(a, (cpn_view){ (const uint8_t *)p, 1 }, false);

        if (i < 0)
            return unknown(a, cmd, word, cpn_view_str(p), err);
        if (a->opt[i]->arg || a->opt[i]->refused)
            return take(a, (unsigned)i, p[1] ? p + 1 : NULL, next, used, err);
        rc = take(a, (unsigned)i, NULL, NULL, used, err);
    }
    return rc;
}

static cpn_rc
parse_option(cpn_args *a, const cpn_cmd *cmd, const char *word, const char *next, int *used,
             cpn_err *err)
{
    cpn_view all = cpn_view_str(word + 2);
    cpn_view name, value;
    const char *attached = NULL;
    int i;

    if (word[1] != '-')
        return parse_letters(a, cmd, word, next, used, err);
    if (cpn_view_cut(all, '=', &name, &value))
        attached = (const char *)value.p;
    i = find(a, name, true);
    if (i < 0)
        return unknown(a, cmd, word, name, err);
    return take(a, (unsigned)i, attached, next, used, err);
}

/* Is the word just taken the first of another program's? */
static bool
begins_other(const cpn_args *a, const cpn_cmd *cmd)
{
    bool by_option;

    if (!(cmd->flags & CPN_CMD_RUNS))
        return false;
    by_option = cpn_args_has(a, "target-resource-id") || cpn_args_has(a, "target-ip-address");
    return a->args > (by_option ? 0 : 1);
}

static cpn_rc
check_count(const cpn_args *a, const cpn_cmd *cmd, cpn_err *err)
{
    if (a->args > cmd->max_args)
        return cpn_fail(err, CPN_INVALID, "unexpected argument '%s'", a->arg[cmd->max_args]);
    if (a->args < cmd->min_args)
        return cpn_fail(err, CPN_INVALID, "missing argument: %s", cmd->args);
    return CPN_OK;
}

cpn_rc
cpn_args_parse(cpn_args *out, const cpn_cmd *cmd, int argc, char **argv, cpn_err *err)
{
    bool options = true;
    cpn_rc rc;

    *out = (cpn_args){ 0 };
    out->opts = cpn_cmd_options(cmd, out->opt);
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        int used = 0;

        if (options && strcmp(word, "--") == 0) {
            options = false;
        } else if (options && word[0] == '-' && word[1]) {
            rc = parse_option(out, cmd, word, i + 1 < argc ? argv[i + 1] : NULL, &used, err);
            if (rc != CPN_OK)
                return rc;
            if (cpn_args_has(out, "help"))
                return CPN_OK;
            i += used;
        } else if (out->args == CPN_ARGS_MAX) {
            return cpn_fail(err, CPN_INVALID, "more than %d arguments", CPN_ARGS_MAX);
        } else if (!(cmd->flags & CPN_CMD_REMOTE) && !cpn_is_utf8(cpn_view_str(word))) {
            return cpn_fail(err, CPN_INVALID, "argument %u is not UTF-8", out->args + 1);
        } else {
            out->arg[out->args++] = word;
            options = options && !begins_other(out, cmd);
        }
    }
    return check_count(out, cmd, err);
}

cpn_rc
cpn_args_complete(const cpn_args *a, cpn_err *err)
{
    for (unsigned i = 0; i < a->opts; i++)
        if (a->opt[i]->must && (!a->value[i] || !a->value[i][0]))
            return cpn_fail(err, CPN_INVALID, "--%s must be given", a->opt[i]->name);
    return CPN_OK;
}

static unsigned
index_of(const cpn_args *a, const char *name)
{
    int i = find(a, cpn_view_str(name), true);

    if (i < 0)
        abort(); /* the command asks for an option that its table lacks */
    return (unsigned)i;
}

const char *
cpn_args_get(const cpn_args *a, const char *name)
{
    return a->value[index_of(a, name)];
}

const char *
cpn_args_or_default(const cpn_args *a, const char *name)
{
    unsigned i = index_of(a, name);

    return a->value[i] ? a->value[i] : a->opt[i]->def;
}

bool
cpn_args_has(const cpn_args *a, const char *name)
{
    return cpn_args_get(a, name) != NULL;
}

cpn_rc
cpn_args_number(const cpn_args *a, const char *name, unsigned min, unsigned max, unsigned *out,
                cpn_err *err)
{
    uint64_t n = 0;

    if (!cpn_view_u64(cpn_view_str(cpn_args_or_default(a, name)), max, &n) || n < min)
        return cpn_fail(err, CPN_INVALID, "--%s: '%s' is not a number from %u to %u", name,
                        cpn_args_or_default(a, name), min, max);
    *out = (unsigned)n;
    return CPN_OK;
}

cpn_rc
cpn_args_name(const cpn_args *a, const char **out, cpn_err *err)
{
    const char *flag = cpn_args_get(a, "name");

    if (!flag == (a->args == 0))
        return cpn_fail(err, CPN_INVALID, "say which one, once: by NAME or --name");
    *out = flag ? flag : a->arg[0];
    return CPN_OK;
}
