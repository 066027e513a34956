/* Writes the completion script for zsh. */
#include <stdio.h>
#include <string.h>

#include "client/complete.h"
#include "client/opts.h"

static const char start[] =
    "#compdef caponier\n"
    "# made by 'caponier completion zsh'\n"
    "_caponier_names() {\n"
    "    local -a found\n"
    "    compset -P '*@'\n"
    "    found=(${(f)\"$(${(Q)caponier} names $1 -- \"$PREFIX\" 2>/dev/null </dev/null)\"})\n"
    "    if [[ $2 == copy ]]; then compadd -S : -a found; _files\n"
    "    else compadd -a found; fi\n"
    "}\n"
    "_caponier() {\n"
    "local cmd caponier=${words[1]/#\\~/$HOME}\n"
    "if [[ ${words[2]} == network && CURRENT -gt 2 ]]; then shift words; (( CURRENT-- ))\n"
    "    if [[ ${words[2]} == bastion && CURRENT -gt 2 && ${words[3]} != (list|show) ]]; then\n"
    "        shift words; (( CURRENT-- )); fi\n"
    "fi\n"
    "cmd=\"${words[2]} ${words[3]} ${words[4]} \"\n";

/* Text inside a single-quoted string of zsh's _arguments: no quote, bracket or colon. */
static void
zsh_text(const char *s)
{
    for (; *s; s++)
        putchar(strchr("'[]:", *s) ? ' ' : *s);
}

static void
say_word(const char *word, int n, const cpn_cmd *cmd)
{
    (void)cmd;
    printf(" %.*s", n, word);
}

/* The word behind a group stands at a place of its own. */
static void
say_group(const char *group, int n)
{
    char name[64];
    int at = 3;

    snprintf(name, sizeof(name), "%.*s", n, group);
    for (const char *p = name; *p; p++)
        at += *p == ' ';
    printf("(( CURRENT == %d )) && [[ $cmd == '%s '* ]] && { compadd --", at, name);
    cpn_complete_next(name, say_word);
    printf("; %s }\n", cpn_complete_is_command(name) ? "" : "return;");
}

static void
say_action(const char *names, const char *end)
{
    if (names)
        printf(" _caponier_names %s%s", names, end);
    else
        printf("_files");
}

static void
say_option(const cpn_opt *o, const char *dashes, int n, const char *name)
{
    printf(" '%s%.*s[", dashes, n, name);
    zsh_text(o->help);
    printf("]");
    if (o->arg) {
        printf(":");
        zsh_text(o->arg);
        printf(":");
        say_action(o->names, "");
    }
    printf("'");
}

static void
say_command(const cpn_cmd *cmd)
{
    const cpn_opt *opt[CPN_OPTS_MAX];
    unsigned n = cpn_cmd_options(cmd, opt);

    printf("'%s '*) _arguments", cmd->name);
    for (unsigned i = 0; i < n; i++) {
        if (opt[i]->refused)
            continue;
        say_option(opt[i], "--", (int)strlen(opt[i]->name), opt[i]->name);
        if (opt[i]->letter)
            say_option(opt[i], "-", 1, &opt[i]->letter);
        if (opt[i]->also)
            say_option(opt[i], "-", 1, &opt[i]->also);
    }
    printf(" '*:argument:");
    say_action(cmd->names, strcmp(cmd->name, "scp") == 0 ? " copy" : "");
    printf("' ;;\n");
}

void
cpn_complete_zsh(void)
{
    fputs(start, stdout);
    printf("(( CURRENT == 2 )) && { compadd --");
    cpn_complete_next("", say_word);
    printf(" network; return; }\n");
    cpn_complete_groups(say_group);
    printf("case $cmd in\n");
    /* "tunnel list" before "tunnel", since the first that fits is taken. */
    for (int one_word = 0; one_word < 2; one_word++)
        for (const cpn_cmd *const *c = cpn_cmds; *c; c++)
            if (!((*c)->flags & CPN_CMD_HIDDEN) &&
                (strchr((*c)->name, ' ') == NULL) == (one_word == 1))
                say_command(*c);
    printf("esac\n}\n"
           "if [[ $funcstack[1] == _caponier ]]; then _caponier \"$@\"; else compdef _caponier "
           "caponier; fi\n");
}
