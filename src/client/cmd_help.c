/* caponier help: the whole reference, for people and for tools. */
#include "client/help.h"

#include "client/cli.h"
#include "client/out.h"

static const cpn_opt opts[] = {
    { .name = "markdown", .help = "a reference of every command in Markdown" },
    { .name = "dump-json", .help = "the table of commands as JSON; tools/check-docs reads it" },
    { 0 },
};

static cpn_rc
help_run(cpn_cli *cli, cpn_err *err)
{
    json_auto_t *all = NULL;

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
    .brief = "List the commands, or print the whole reference",
    .opts = opts,
    .examples =
        (const cpn_example[]){ { "caponier help --markdown", "the reference as one page" }, { 0 } },
    .run = help_run,
};
