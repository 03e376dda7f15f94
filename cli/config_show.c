/* The settings in force: config show. */

#include "cli/cmd.h"
#include "cli/task.h"

static int run_show(struct task *t, struct err *err)
{
	(void)err;
	out_list(t->out, "SettingList", "items");
	for (enum setting s = 0; s < SETTINGS; s++) {
		const char *value = settings_get(&t->settings, s);
		const char *origin = t->settings.all[s].origin;

		out_row(t->out);
		out_str(t->out, "name", settings_name(s));
		out_str(t->out, "value", value ? value : "");
		out_str(t->out, "origin", value ? origin : "");
	}
	return 0;
}

static const struct out_column columns[] = {
	{"name", "SETTING", 0},
	{"value", "VALUE", 0},
	{"origin", "ORIGIN", 0},
	{0},
};

const struct cmd cmds_config[] = {
	{
		.name = "config show",
		.help = "print the settings, and where they come from",
		.more = "Options are stronger than the environment, that than the context, that\n"
			"than [defaults]; see oimctl.conf(5).\n"
			"\n"
			"  oimctl config show --context lab\n",
		.columns = columns,
		.run = run_show,
	},
	{0},
};
