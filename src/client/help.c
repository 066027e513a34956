/* Prints help, usage and reference from the table of commands. */
#include "client/help.h"

#include <string.h>

#include "client/opts.h"

#define USAGE_MAX 1024

static const char exit_status[] =
    "0 done, 1 failed, 2 usage, 3 denied, 4 not found, 5 sign in first";

static const char remote_status[] =
    "0 done, 255 for everything of ours; what ssh or scp ends with is passed on";

const char *
cpn_help_usage(const cpn_cmd *cmd)
{
    static char text[USAGE_MAX];
    size_t n = (size_t)snprintf(text, sizeof(text), "caponier %s", cmd->name);

    for (const cpn_opt *o = cmd->opts; o && o->name && n < sizeof(text); o++)
        if (!o->refused)
            n += (size_t)snprintf(text + n, sizeof(text) - n, " %s--%s%s%s%s", o->must ? "" : "[",
                                  o->name, o->arg ? " " : "", o->arg ? o->arg : "",
                                  o->must ? "" : "]");
    if (cmd->args && n < sizeof(text))
        snprintf(text + n, sizeof(text) - n, " %s", cmd->args);
    return text;
}

static void
option_line(const cpn_opt *o)
{
    char head[96], letters[16] = "    ";

    if (o->letter)
        snprintf(letters, sizeof(letters), "-%c, ", o->letter);
    if (o->also)
        snprintf(letters, sizeof(letters), "-%c, -%c, ", o->letter, o->also);
    snprintf(head, sizeof(head), "%s--%s%s%s", letters, o->name, o->arg ? " " : "",
             o->arg ? o->arg : "");
    printf("  %-32s %s", head, o->refused ? "not accepted: " : o->help);
    if (o->refused)
        printf("%s", o->refused);
    if (o->def)
        printf(" (default: %s)", o->def);
    if (o->must)
        printf(" (must be given)");
    putchar('\n');
}

/* The commands that begin with this and go on, under a heading. */
static bool
group(FILE *to, const char *words, const char *heading)
{
    bool any = false;
    size_t n = strlen(words);

    for (const cpn_cmd *const *c = cpn_cmds; *c; c++)
        if (strncmp((*c)->name, words, n) == 0 && (*c)->name[n] == ' ') {
            if (to)
                fprintf(to, "%s  caponier %-20s %s\n", any ? "" : heading, (*c)->name, (*c)->brief);
            any = true;
        }
    return any;
}

void
cpn_help_command(const cpn_cmd *cmd)
{
    const cpn_opt *opt[CPN_OPTS_MAX];
    unsigned n = cpn_cmd_options(cmd, opt);

    printf("%s\n\nusage: %s\n", cmd->brief, cpn_help_usage(cmd));
    if (cmd->args_help)
        printf("\n  %-32s %s\n", cmd->args, cmd->args_help);
    printf("\noptions:\n");
    for (unsigned i = 0; i < n; i++)
        option_line(opt[i]);
    printf("\nexamples:\n");
    for (const cpn_example *e = cmd->examples; e && e->line; e++)
        printf("  %s\n      %s\n", e->line, e->what);
    group(stdout, cmd->name, "\nsee also:\n");
    printf("\nexit status: %s\n", cmd->flags & CPN_CMD_REMOTE ? remote_status : exit_status);
}

void
cpn_help_overview(FILE *to)
{
    fprintf(to, "caponier reaches SSH and RDP on machines without a public address, through a "
                "Caponier gateway.\n\nusage: caponier COMMAND [OPTIONS]\n\ncommands:\n");
    for (const cpn_cmd *const *c = cpn_cmds; *c; c++)
        if (!((*c)->flags & CPN_CMD_HIDDEN))
            fprintf(to, "  %-20s %s\n", (*c)->name, (*c)->brief);
    fprintf(to,
            "\n'caponier COMMAND --help' explains one. 'caponier network bastion COMMAND' is "
            "the same, as the Azure CLI spells it.\nexit status: %s\n",
            exit_status);
}

bool
cpn_help_group(FILE *to, const char *words)
{
    return group(to, words, "");
}

static void
markdown_command(const cpn_cmd *cmd)
{
    const cpn_opt *opt[CPN_OPTS_MAX];
    unsigned n = cpn_cmd_options(cmd, opt);

    printf("\n## caponier %s\n\n%s.\n\n    %s\n\n", cmd->name, cmd->brief, cpn_help_usage(cmd));
    if (cmd->args_help)
        printf("`%s`: %s.\n\n", cmd->args, cmd->args_help);
    printf("| option | default | what |\n|---|---|---|\n");
    for (unsigned i = 0; i < n; i++) {
        const cpn_opt *o = opt[i];

        printf("| `--%s%s%s`%s%.1s%s | %s | %s%s%s |\n", o->name, o->arg ? " " : "",
               o->arg ? o->arg : "", o->letter ? ", `-" : "", o->letter ? &o->letter : "",
               o->letter ? "`" : "", o->def ? o->def : "", o->refused ? "not accepted: " : "",
               o->refused ? o->refused : o->help, o->must ? " (must be given)" : "");
    }
    printf("\nExamples:\n\n");
    for (const cpn_example *e = cmd->examples; e && e->line; e++)
        printf("    %s    # %s\n", e->line, e->what);
}

void
cpn_help_markdown(void)
{
    printf("# The command line\n\nMade by `caponier help --markdown`. Exit status of every "
           "command but those that end with a remote program's: %s.\n",
           exit_status);
    for (const cpn_cmd *const *c = cpn_cmds; *c; c++)
        if (!((*c)->flags & CPN_CMD_HIDDEN))
            markdown_command(*c);
}

static json_t *
option_json(const cpn_opt *o)
{
    return json_pack("{s:s, s:s%, s:s?, s:s?, s:s?, s:s?}", "long", o->name, "short", &o->letter,
                     (size_t)(o->letter != 0), "arg", o->arg, "default", o->def, "help", o->help,
                     "refused", o->refused);
}

json_t *
cpn_help_json(void)
{
    json_t *all = json_array();

    for (const cpn_cmd *const *c = cpn_cmds; *c; c++) {
        const cpn_opt *opt[CPN_OPTS_MAX];
        unsigned n = cpn_cmd_options(*c, opt);
        json_t *options, *examples;

        if ((*c)->flags & CPN_CMD_HIDDEN)
            continue;
        options = json_array();
        examples = json_array();
        for (unsigned i = 0; i < n; i++)
            json_array_append_new(options, option_json(opt[i]));
        for (const cpn_example *e = (*c)->examples; e && e->line; e++)
            json_array_append_new(examples,
                                  json_pack("{s:s, s:s}", "line", e->line, "what", e->what));
        json_array_append_new(all, json_pack("{s:s, s:s, s:s?, s:o, s:o}", "name", (*c)->name,
                                             "brief", (*c)->brief, "args", (*c)->args, "options",
                                             options, "examples", examples));
    }
    return json_pack("{s:o}", "commands", all);
}
