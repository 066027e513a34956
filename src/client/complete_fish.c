/* Writes the completion script for fish. */
#include <stdio.h>
#include <string.h>

#include "base/view.h"
#include "client/complete.h"
#include "client/opts.h"

static const char start[] =
    "# fish completion for caponier; made by 'caponier completion fish'\n"
    "function __caponier_names\n"
    "    set -l program (string replace -r '^~' $HOME -- (commandline -opc)[1])\n"
    "    set -l word (string replace -r '^.*[@=]' '' -- (commandline -ct))\n"
    "    set -l before (string match -r '^.*[@=]' -- (commandline -ct))\n"
    "    for name in ($program names $argv[1] -- \"$word\" 2>/dev/null </dev/null)\n"
    "        echo -- \"$before[1]$name$argv[2]\"\n"
    "    end\n"
    "end\n";

static const char *in_group;

/* The condition: every word of the name has been seen. */
static void
seen(const char *name, size_t n)
{
    cpn_view rest = { (const uint8_t *)name, n }, word;
    bool more = true;

    for (bool first = true; more; first = false) {
        more = cpn_view_cut(rest, ' ', &word, &rest);
        printf("%s__fish_seen_subcommand_from %.*s", first ? "" : "; and ", CPN_VIEW_ARG(word));
    }
}

/* Text inside single quotes of fish. */
static void
fish_text(const char *s)
{
    for (; *s; s++)
        printf(*s == '\'' || *s == '\\' ? "\\%c" : "%c", *s);
}

static void
say_word(const char *word, int n, const cpn_cmd *cmd)
{
    printf("complete -c caponier -f -n '");
    if (in_group)
        seen(in_group, strlen(in_group));
    else
        printf("__fish_use_subcommand");
    printf("' -a '%.*s'", n, word);
    if (cmd) {
        printf(" -d '");
        fish_text(cmd->brief);
        printf("'");
    }
    printf("\n");
}

static void
say_group(const char *group, int n)
{
    char name[64];

    snprintf(name, sizeof(name), "%.*s", n, group);
    in_group = name;
    cpn_complete_next(name, say_word);
    in_group = NULL;
}

static void
say_command(const cpn_cmd *cmd)
{
    const cpn_opt *opt[CPN_OPTS_MAX];
    unsigned n = cpn_cmd_options(cmd, opt);

    for (unsigned i = 0; i < n; i++) {
        if (opt[i]->refused)
            continue;
        printf("complete -c caponier -n '");
        seen(cmd->name, strlen(cmd->name));
        printf("' -l %s%s", opt[i]->name, opt[i]->arg ? " -r" : "");
        if (opt[i]->letter)
            printf(" -s %c", opt[i]->letter);
        if (opt[i]->also)
            printf(" -s %c", opt[i]->also);
        if (opt[i]->names)
            printf(" -f -a '(__caponier_names %s)'", opt[i]->names);
        printf("\n");
    }
    if (!cmd->names)
        return;
    printf("complete -c caponier%s -n '", strcmp(cmd->name, "scp") == 0 ? "" : " -f");
    seen(cmd->name, strlen(cmd->name));
    printf("' -a '(__caponier_names %s%s)'\n", cmd->names,
           strcmp(cmd->name, "scp") == 0 ? " :" : "");
}

void
cpn_complete_fish(void)
{
    fputs(start, stdout);
    cpn_complete_next("", say_word);
    cpn_complete_groups(say_group);
    for (const cpn_cmd *const *c = cpn_cmds; *c; c++)
        if (!((*c)->flags & CPN_CMD_HIDDEN))
            say_command(*c);
}
