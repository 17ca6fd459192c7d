/*
 * What is told of somebody and what they go by, and how it becomes something
 * else: what one's own profile and an administrator's view of an account
 * share. For command threads (action.h).
 */
#ifndef LULAB_APP_PROFILE_H
#define LULAB_APP_PROFILE_H

#include "app/accounts.h"

/* What a request says is told of them, as the event that keeps it; a member without text (ptr NULL) stays as it is. */
#define PROFILE_TOLD(body) \
	(struct event_user_profile_changed){.display_name = (body).display_name, .avatar = (body).avatar, .bio = (body).bio, \
	    .first_name = (body).first_name, .last_name = (body).last_name, .date_of_birth = (body).date_of_birth, \
	    .gender = (body).gender, .address = (body).address, .city = (body).city, .country = (body).country, \
	    .zip_code = (body).zip_code, .website = (body).website}

/* Are these dates, addresses of pages and the like? False: the 400 is set. */
bool profile_told_check(struct action *c, const struct event_user_profile_changed *told);
bool profile_tells_something(const struct event_user_profile_changed *told);

/* Other names than there are; and the events of it all. */
struct profile_change {
	struct slice user_text;
	struct json_value row; /* of the account: its names and their claims */
	struct account_names names; /* those that become others; the rest is empty */
	struct event_user_contact_changed contact;
	struct event_user_profile_changed told; /* as given; profile_change_make() puts to it whose it is */
};

/* Which of these names become others; naming the one there is changes nothing, however it is written. False: the 400 is set. */
bool profile_names_read(struct action *c, struct profile_change *h, struct slice username, struct slice email,
    struct slice country_code, struct slice phone);
/* Both events, from the names and the row. `verified`: they have shown that the address and the number are theirs. */
void profile_change_make(struct action *c, struct profile_change *h, bool verified);
/* Is it another address or number, or one less? With these goes the account. */
bool profile_changes_contact(const struct profile_change *h);

/* Somebody else has the name: 409 that says which. False. */
bool profile_taken(struct action *c, struct slice claim);

/* A text of the account; without one, ptr is NULL. */
struct slice profile_text(struct action *c, const struct profile_change *h, const char *column);

#endif
