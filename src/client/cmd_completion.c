/* caponier completion: a script that teaches a shell the commands and their options. */
#include <stdio.h>
#include <string.h>

#include "client/cli.h"
#include "client/opts.h"

static void
words_of(const cpn_cmd *cmd, const char *before)
{
    const cpn_opt *opt[CPN_OPTS_MAX];
    unsigned n = cpn_cmd_options(cmd, opt);

    for (unsigned i = 0; i < n; i++)
        if (!opt[i]->refused)
            printf("%s--%s", i ? before : "", opt[i]->name);
}

/* The first words of all commands, each once; they stand next to each other in the table. */
static void
first_words(void)
{
    const char *last = "";
    size_t last_n = 0;

    for (const cpn_cmd *const *c = cpn_cmds; *c; c++) {
        size_t n = strcspn((*c)->name, " ");

        if (n != last_n || strncmp((*c)->name, last, n) != 0)
            printf("%.*s ", (int)n, (*c)->name);
        last = (*c)->name;
        last_n = n;
    }
    printf("network");
}

/* The second words of the commands that begin with this one. */
static void
second_words(const char *first, size_t n)
{
    for (const cpn_cmd *const *c = cpn_cmds; *c; c++)
        if (strncmp((*c)->name, first, n) == 0 && (*c)->name[n] == ' ')
            printf(" %s", (*c)->name + n + 1);
}

static void
bash_command(const cpn_cmd *cmd)
{
    printf("        '%s'|'%s '*|'bastion %s'|'bastion %s '*) words='", cmd->name, cmd->name,
           cmd->name, cmd->name);
    words_of(cmd, " ");
    second_words(cmd->name, strlen(cmd->name));
    printf("' ;;\n");
}

/* Words that are no command by themselves. */
static void
bash_groups(void)
{
    const char *last = "";
    size_t n = 0;

    for (const cpn_cmd *const *c = cpn_cmds; *c; c++) {
        if (!strchr((*c)->name, ' ') || strncmp((*c)->name, last, n + 1) == 0)
            continue;
        last = (*c)->name;
        n = strcspn(last, " ");
        printf("        '%.*s') words='", (int)n, last);
        second_words(last, n);
        printf("' ;;\n");
    }
}

static void
bash(void)
{
    printf(
        "# bash completion for caponier; made by 'caponier completion bash'\n"
        "_caponier() {\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} i w cmd= words=\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "        w=${COMP_WORDS[i]}\n"
        "        case $w in network|bastion) [[ $cmd == network || -z $cmd ]] || break; cmd=$w ;;\n"
        "            -*) break ;; *) cmd=\"${cmd:+$cmd }$w\" ;; esac\n"
        "        [[ $cmd == network ]] || cmd=${cmd#network }\n"
        "    done\n"
        "    case $cmd in\n"
        "        '') words='");
    first_words();
    printf("' ;;\n        network) words=bastion ;;\n");
    /* "tunnel list" before "tunnel", since the first that fits is taken. */
    for (int one_word = 0; one_word < 2; one_word++)
        for (const cpn_cmd *const *c = cpn_cmds; *c; c++)
            if ((strchr((*c)->name, ' ') == NULL) == (one_word == 1))
                bash_command(*c);
    bash_groups();
    printf("    esac\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "}\n"
           "complete -o default -F _caponier caponier\n");
}

/* Text inside a single-quoted string of zsh's _arguments: no quote, bracket or colon. */
static void
zsh_text(const char *s)
{
    for (; *s; s++)
        putchar(strchr("'[]:", *s) ? ' ' : *s);
}

static void
zsh_command(const cpn_cmd *cmd)
{
    const cpn_opt *opt[CPN_OPTS_MAX];
    unsigned n = cpn_cmd_options(cmd, opt);

    printf("'%s '*) _arguments", cmd->name);
    for (unsigned i = 0; i < n; i++) {
        if (opt[i]->refused)
            continue;
        printf(" '--%s[", opt[i]->name);
        zsh_text(opt[i]->help);
        printf("]%s%s:_files'", opt[i]->arg ? ":" : "", opt[i]->arg ? opt[i]->arg : "");
    }
    printf(" '*:argument:_files' ;;\n");
}

static void
zsh(void)
{
    printf("#compdef caponier\n# made by 'caponier completion zsh'\nlocal cmd\nwhile [[ "
           "${words[2]} == "
           "network || ${words[2]} == bastion && ${words[3]} != (list|show) ]]; do shift words; (( "
           "CURRENT-- "
           ")); done\n"
           "if (( CURRENT == 2 )); then compadd -- ");
    first_words();
    printf("; return; fi\ncmd=\"${words[2]} ${words[3]} \"\ncase $cmd in\n");
    for (const cpn_cmd *const *c = cpn_cmds; *c; c++) {
        const char *space = strchr((*c)->name, ' ');

        if (space)
            printf("'%.*s '*) (( CURRENT == 3 )) && compadd -- %s ;|\n", (int)(space - (*c)->name),
                   (*c)->name, space + 1);
    }
    for (int one_word = 0; one_word < 2; one_word++)
        for (const cpn_cmd *const *c = cpn_cmds; *c; c++)
            if ((strchr((*c)->name, ' ') == NULL) == (one_word == 1))
                zsh_command(*c);
    printf("esac\n");
}

static void
fish_command(const cpn_cmd *cmd)
{
    const cpn_opt *opt[CPN_OPTS_MAX];
    unsigned n = cpn_cmd_options(cmd, opt);
    const char *space = strchr(cmd->name, ' ');
    int head = (int)strcspn(cmd->name, " ");

    if (space)
        printf("complete -c caponier -n '__fish_seen_subcommand_from %.*s' -a '%s' -d '%s'\n", head,
               cmd->name, space + 1, cmd->brief);
    else
        printf("complete -c caponier -n __fish_use_subcommand -a '%s' -d '%s'\n", cmd->name,
               cmd->brief);
    for (unsigned i = 0; i < n; i++) {
        if (opt[i]->refused)
            continue;
        printf("complete -c caponier -n '__fish_seen_subcommand_from %.*s", head, cmd->name);
        if (space)
            printf("; and __fish_seen_subcommand_from %s", space + 1);
        printf("' -l %s%s", opt[i]->name, opt[i]->arg ? " -r" : "");
        if (opt[i]->letter)
            printf(" -s %c", opt[i]->letter);
        printf("\n");
    }
}

static void
fish(void)
{
    const char *last = "";

    printf("# fish completion for caponier; made by 'caponier completion fish'\n");
    for (const cpn_cmd *const *c = cpn_cmds; *c; c++) {
        size_t n = strcspn((*c)->name, " ");

        if (strchr((*c)->name, ' ') && strncmp(last, (*c)->name, n + 1) != 0)
            printf("complete -c caponier -n __fish_use_subcommand -a '%.*s'\n", (int)n, (*c)->name);
        last = (*c)->name;
        fish_command(*c);
    }
}

static cpn_rc
completion_run(cpn_cli *cli, cpn_err *err)
{
    static const struct {
        const char *shell;
        void (*print)(void);
    } shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };

    for (size_t i = 0; i < CPN_COUNT(shells); i++)
        if (strcmp(cli->args.arg[0], shells[i].shell) == 0) {
            shells[i].print();
            return CPN_OK;
        }
    return cpn_fail(err, CPN_INVALID, "'%s' is none of bash, zsh, fish", cli->args.arg[0]);
}

const cpn_cmd cpn_cmd_completion = {
    .name = "completion",
    .brief = "Print a completion script for a shell",
    .args = "bash|zsh|fish",
    .args_help = "the shell",
    .min_args = 1,
    .max_args = 1,
    .examples =
        (const cpn_example[]){ { "source <(caponier completion bash)", "in ~/.bashrc" }, { 0 } },
    .run = completion_run,
};
