/* caponier help: one command or the whole reference, for people and for tools. */
#include "client/help.h"

#include "client/cli.h"
#include "client/out.h"

#define COMMAND_WORDS 5 /* network bastion vm hostkey approve */

static const cpn_opt opts[] = {
    { .name = "markdown", .help = "a reference of every command in Markdown" },
    { .name = "dump-json", .help = "the table of commands as JSON; tools/check-docs reads it" },
    { 0 },
};

/* As 'caponier COMMAND --help' has it. */
static cpn_rc
explain(const cpn_args *a, cpn_err *err)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf name = { .max = 256 };
    const cpn_cmd *cmd;
    cpn_rc rc = CPN_OK;
    int words;

    cmd = cpn_cli_find((int)a->args, (char **)a->arg, &words);
    if (cmd && words == (int)a->args) {
        cpn_help_command(cmd);
        return CPN_OK;
    }
    for (unsigned i = 0; i < a->args && rc == CPN_OK; i++)
        rc = cpn_buf_printf(&name, "%s%s", i ? " " : "", a->arg[i]);
    if (rc == CPN_OK)
        rc = cpn_buf_append(&name, (cpn_view){ (const uint8_t *)"", 1 });
    if (rc == CPN_OK && cpn_help_group(stdout, (const char *)name.p))
        return CPN_OK;
    return cpn_fail(err, CPN_INVALID, "there is no command '%s'",
                    rc == CPN_OK ? (const char *)name.p : "of such a length");
}

static cpn_rc
help_run(cpn_cli *cli, cpn_err *err)
{
    json_auto_t *all = NULL;

    if (cli->args.args > 0)
        return explain(&cli->args, err);
    if (cpn_args_has(&cli->args, "markdown")) {
        cpn_help_markdown();
        return CPN_OK;
    }
    if (!cpn_args_has(&cli->args, "dump-json")) {
        cpn_help_overview(stdout);
        return CPN_OK;
    }
    all = cpn_help_json();
    cli->format = CPN_FORMAT_JSON;
    return cpn_out_object(cli, all, NULL, err);
}

const cpn_cmd cpn_cmd_help = {
    .name = "help",
    .brief = "List the commands, explain one, or print the whole reference",
    .opts = opts,
    .args = "[COMMAND]",
    .args_help = "the command to explain",
    .max_args = COMMAND_WORDS,
    .examples =
        (const cpn_example[]){ { "caponier help tunnel", "what 'caponier tunnel --help' says" },
                               { "caponier help --markdown", "the reference as one page" },
                               { 0 } },
    .run = help_run,
};
