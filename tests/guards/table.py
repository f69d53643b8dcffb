"""Every guard: what happens without it, its code, and the cheapest test that fails when it is taken out.

When the code of a guard changes, its entry follows: `code` is text that `bot/` and `handlers/` have exactly once; the
shorter, the better. A rule has one entry, though it may hold in more places than one.
"""

from tests.guards.guard import Guard

WEIGHED = "test_everything_that_was_seen_has_its_verdict_and_reason"
SINCE = "test_what_has_changed_since_the_approval_keeps_the_old_key"

TABLE: dict[str, dict[str, Guard]] = {
    "Who may press what": {
        "Guests, bots, deactivated accounts and people of other workspaces press buttons.": Guard(
            "    if told := _outside(person):\n        raise NotAllowed(told[0])\n",
            "test_people_who_are_no_full_members_hear_why",
            "",
        ),
        "A guest's Home shows keys and people.": Guard(
            "            check_member(permissions.person)\n            policies",
            "test_who_is_a_guest_by_now_sees_one_sentence_and_is_forgotten",
            "            policies",
        ),
        "Guests and strangers search the history.": Guard(
            """await rotations.check_may_look("history", by=by)\n        page""",
            "test_the_filters_reach_the_search_and_the_page_comes_in_the_place_of_the_form",
            "page",
        ),
        "Somebody whom REQUESTERS does not name begins a rotation.": Guard(
            "if not permissions.may_request:", "test_only_people_named_in_requesters_may_ask"
        ),
        "Somebody else than the requester gives the secret.": Guard(
            """    check_may_request(permissions)
    if permissions.person.id != rotation.requested_by:""",
            "test_a_press_does_what_the_tables_say_for_everybody",
            "    if False:",
        ),
        "Anybody in the channel cancels, retries or rolls back.": Guard(
            "if permissions.person.id != rotation.requested_by and not permissions.approver:",
            "test_a_press_does_what_the_tables_say_for_everybody",
        ),
        "Somebody whom APPROVERS does not name releases the delete.": Guard(
            "    if not permissions.approver:\n        where",
            "test_a_press_does_what_the_tables_say_for_everybody",
            "    if False:\n        where",
        ),
        "One person alone asks for a rotation and releases its delete.": Guard(
            "if permissions.person.id == rotation.requested_by and not self_approval:",
            "test_a_requester_who_is_an_approver_hears_who_else_has_to",
        ),
        "Two clicks of one approver count as two approvals.": Guard(
            "if any(approval.by == permissions.person.id for approval in rotation.approvals):",
            "test_one_approver_approves_once",
        ),
        "Anybody in the channel says that a credential is revoked, and nobody is reminded of it any more.": Guard(
            "check_may_steer(rotation, await self._people.permissions(by))\n"
            "        check_offered(rotation, Action.REVOKED)",
            "test_nobody_else_says_that_it_is_revoked",
            "check_offered(rotation, Action.REVOKED)",
        ),
        "The requester alone says that a credential need not be revoked.": Guard(
            "check_may_accept(rotation, permissions, self_approval=rotation.self_approval)\n"
            "        check_offered(rotation, Action.NOT_NEEDED)",
            "test_only_an_approver_other_than_the_requester_says_that_it_need_not_be_and_why",
            "check_offered(rotation, Action.NOT_NEEDED)",
        ),
        "Anybody asks the requester in an approver's name.": Guard(
            "        check_may_ask(rotation, await self._people.permissions(by, rotation.policy))\n",
            "test_nobody_asks_themselves_and_nobody_answers_for_another",
        ),
        "Somebody else answers what an approver asked the requester.": Guard(
            "        check_may_answer(rotation, await self._people.permissions(by))\n",
            "test_nobody_asks_themselves_and_nobody_answers_for_another",
        ),
        "Anybody in the channel puts a delete off, and voids what approvers gave.": Guard(
            "check_may_accept(rotation, permissions, self_approval=rotation.self_approval)\n"
            "        check_offered(rotation, Action.NOT_YET)",
            "test_only_an_approver_other_than_the_requester_puts_a_delete_off",
            "check_offered(rotation, Action.NOT_YET)",
        ),
        "A second approver deletes with an approval of before somebody said “not yet”.": Guard(
            "put_off=(*others, said), approvals=(), voids=voids",
            "test_approvals_before_a_not_yet_are_void",
            "put_off=(*others, said)",
        ),
        "A button on an old card does what this moment does not offer.": Guard(
            "if action not in offered(rotation):", "test_what_is_no_longer_offered_is_refused_by_the_name_of_its_button"
        ),
        "Models move for a plan that no approver started.": Guard(
            "for start in rotation.starts if start.digest == now",
            "test_a_start_counts_only_for_what_was_shown",
            "for start in rotation.starts",
        ),
        "A start counts though its giver could not give it any more.": Guard(
            "if rotation.starts and not rotation.moved:",
            "test_a_start_of_somebody_who_could_not_give_it_now_moves_nothing",
            "if False:",
        ),
        "A requester opens a closed window by the report of a leak, on a start that was given before.": Guard(
            '        *(["exposed"] if rotation.exposed else []),\n',
            "test_a_report_opens_no_window_on_a_start_that_was_given_before_it",
            "",
        ),
        "Models move outside the change window.": Guard(
            "is_open(rotation.policy.move, now)", "test_a_closed_window_says_until_when", "True"
        ),
        "A key is deleted though the window has closed since the approval.": Guard(
            "closed = closed_window(rotation, world.now())",
            "test_if_the_window_closes_after_the_approval_nothing_is_deleted_and_an_approver_is_asked_again",
            'closed = ""',
        ),
        "A press outside the delete window counts.": Guard(
            "        check_window(rotation, self._now())\n", "test_a_press_outside_the_delete_window_does_not_count", ""
        ),
        "An approver whom a policy does not name approves.": Guard(
            "(self._rules.approvers, *policy.approvers)",
            "test_an_approver_must_be_allowed_by_every_policy_that_applies",
            "(self._rules.approvers,)",
        ),
        "A page or a token gives the secret of a later question.": Guard(
            "if attempt not in (None, rotation.attempt):",
            "test_it_gives_nothing_once_the_rotation_has_moved_on_or_the_person_may_not_any_more",
        ),
        "A page or a token that was refused is tried again later.": Guard(
            "    except KeyturnError:\n        await tickets.take(kind, name)\n        raise\n",
            "test_it_gives_nothing_once_the_rotation_has_moved_on_or_the_person_may_not_any_more",
        ),
        "A token of one rotation gives the secret of another one.": Guard(
            " or errand.rotation != rotation_id",
            "test_a_token_is_for_its_rotation_alone_and_who_used_it_is_in_the_trail",
        ),
        "A secret is typed into Slack although the settings ask for a page.": Guard(
            "if on_a_page and way is Way.FORM:",
            "test_where_the_settings_ask_for_a_page_slacks_form_is_refused_and_a_token_is_not",
        ),
        "The page shows a secret again that got into another field.": Guard(
            'return "" if holds or is_surely_secret(text) or may_be_secret(text) else text',
            "test_a_form_shows_again_what_is_no_piece_of_a_secret",
            "return text",
        ),
        "A requester names the new key so that the policy of the old one does not hold for it.": Guard(
            "if (left := self._people.left_behind(rotation.plan, unique)).names:",
            "test_a_new_key_stays_under_the_policy_that_names_the_old_one",
        ),
        "A plan grows into an environment whose policy does not hold for it.": Guard(
            "strictest((rotation.policy, self.policy_of(rotation.plan)))",
            "test_a_plan_that_grows_comes_under_the_policies_of_its_new_environments",
            "rotation.policy",
        ),
        "An old card releases the delete of a stopped rotation.": Guard(
            "        check_offered(rotation, Action.DELETE_OLD_KEY)\n",
            "test_a_button_that_is_not_offered_or_not_theirs_changes_nothing",
        ),
        "An approver accepts a model while its rotation goes on.": Guard(
            "        check_offered(rotation, Action.ACCEPT_UNPROVED)\n",
            "test_a_button_that_is_not_offered_or_not_theirs_changes_nothing",
        ),
        "A requester accepts their own models after the settings forbid it.": Guard(
            "rotation = self._people.strict(await",
            "test_a_button_that_is_not_offered_or_not_theirs_changes_nothing",
            "rotation = (await",
        ),
        "A guest of a single channel counts as a member.": Guard(
            ' or user.get("is_ultra_restricted")', "test_slack_says_who_is_no_full_member_of_this_workspace"
        ),
        "**Roll back** puts callers on a key that may be gone.": Guard(
            "if not is_way_back_closed(rotation):", "test_nothing_rolls_back_to_a_key_that_may_be_gone", "if True:"
        ),
        "An approver accepts a model that is known to fail, or to be on the old key.": Guard(
            " if label_of(rotation.finding(model)) in UNPROVED",
            "test_only_a_model_of_which_nothing_is_known_can_be_accepted",
        ),
        "A form that was opened before the evidence changed accepts what nobody has seen.": Guard(
            "if shown != shown_unproved(rotation):\n            raise BadInput",
            "test_a_form_that_is_late_or_showed_something_else_accepts_nothing",
            "if False:\n            raise BadInput",
        ),
        "What was accepted as unknown stays accepted once it is known to be bad.": Guard(
            "known.verdict in SAYS_NOTHING and ", "test_an_acceptance_ends_once_the_model_has_a_clear_verdict"
        ),
    },
    "An approval holds": {
        "An approver's word counts without the sign-in that the settings ask for.": Guard(
            "if step_up and not signed_in:", "test_while_a_sign_in_is_asked_for_no_click_and_no_form_approves"
        ),
        "An approval given without the sign-in that is asked for by now counts at the last look.": Guard(
            "if self._rules.step_up and not approval.signed_in:",
            "test_an_approval_given_before_the_sign_in_was_asked_for_is_void_at_the_last_look",
        ),
        "Somebody else's sign-in approves for the person who pressed.": Guard(
            "if email.encode().lower() != person.email.encode().lower():",
            "test_a_sign_in_of_anybody_else_opens_nothing_and_is_in_the_audit_trail",
        ),
        "A sign-in that an attacker began is finished by its victim.": Guard(
            'if not hmac.compare_digest(of(sent.cookie, "state").encode(), sent.state.encode(errors="replace")):',
            "test_a_sign_in_counts_only_in_the_browser_that_began_it",
        ),
        "Another site sends the form of a page for who is signed in.": Guard(
            'if not hmac.compare_digest(of(cookie, "form").encode(), token.encode(errors="replace")):',
            "test_the_page_of_a_secret_approves_nothing_and_that_of_an_approval_takes_no_secret",
        ),
        "The page of a new secret approves a delete.": Guard(
            'return "secret" if action is Action.ENTER_SECRET else "page"',
            "test_the_page_of_a_secret_approves_nothing_and_that_of_an_approval_takes_no_secret",
            'return "page"',
        ),
        "A browser, or a proxy, keeps a page.": Guard(
            '    "Cache-Control": "no-store",\n',
            "test_a_page_is_never_kept_framed_or_told_and_its_cookies_are_for_this_host_alone",
        ),
        "A sign-in of this morning counts for a click of now.": Guard(
            "if signed_in < asked.since - LEEWAY:",
            "test_a_token_that_is_not_for_this_sign_in_is_refused_with_the_reason",
        ),
        "A click on an older card asks for a reason for what its giver has not seen.": Guard(
            "if shown is not None and shown.partition(SEPARATOR)[0] != rotation.seen:",
            "test_the_form_that_asks_why_opens_for_people_who_may_approve_now",
        ),
        "An approval without a reason counts although something speaks against the delete.": Guard(
            "if flags(rotation) and not reason:",
            "test_while_something_speaks_against_the_delete_no_approval_counts_without_a_reason",
        ),
        "An approval of what one card or form showed covers what has come since.": Guard(
            "if shown is not None and shown != shown_of(rotation):",
            "test_what_speaks_against_the_delete_since_the_form_was_opened_has_to_be_seen",
        ),
        "Callers begin to fail after the approval, and the old key goes without a reason.": Guard(
            "    yield from not_weighed(rotation)\n", SINCE
        ),
        "Of two approvers, one was shown what speaks against the delete, and both count.": Guard(
            "any(flag not in approval.flags for",
            "test_an_approval_covers_only_the_flags_that_its_giver_was_shown",
            "all(flag not in approval.flags for",
        ),
        "A reason of characters that nobody sees allows the delete.": Guard(
            """INVISIBLE.sub("", text.replace("\\u2800", " "))""", "test_a_reason_is_neither_a_secret_nor_empty", "text"
        ),
        "Slack delivers a click again, and it answers a later question.": Guard(
            "if click", "test_one_click_that_is_delivered_twice_answers_one_question", "if False"
        ),
        "A click that Slack called failed is taken late, and deletes.": Guard(
            "        check_in_time(pressed, permissions.person, self._rules.click_max_age)\n",
            "test_a_click_that_is_late_or_on_a_card_that_showed_something_else_does_not_count",
        ),
        "A click whose delay nobody knows counts.": Guard(
            "if pressed.at is None else age",
            "test_a_click_that_slack_has_reported_as_failed_does_not_count",
            "if age is None else age",
        ),
        "An approval for a whole batch counts though each card has to be approved by now.": Guard(
            "if approval.for_a_batch and (policy.own_approval or not self._rules.one_approval_for_a_batch):",
            "test_an_approval_for_a_whole_batch_lapses_where_the_settings_want_each_card_by_now",
        ),
        "One click approves what has changed since the message of the batch was drawn.": Guard(
            "shown=shown[id_]",
            "test_one_click_approves_what_the_message_showed_and_leaves_out_what_has_changed",
            "shown=None",
        ),
        "One click approves a rotation of another batch, by a forged button.": Guard(
            "for id_ in filter(names.__contains__, shown):",
            "test_one_click_approves_what_the_message_showed_and_leaves_out_what_has_changed",
            "for id_ in shown:",
        ),
        "One click approves a batch although the settings want each card.": Guard(
            "if not self.approves_batches:",
            "test_one_click_approves_nothing_where_the_settings_want_each_card",
            "if False:",
        ),
        "A batch goes on after a refused secret.": Guard(
            "if id_ in rotations and id_ not in batch.passed and (why := refusal(rotations[id_])):",
            "test_a_refused_secret_a_roll_back_and_a_cancel_stop_the_batch",
            "if why := '':",
        ),
        "Somebody who is no approver puts a key on hold, or lifts that.": Guard(
            '    if not permissions.approver:\n        raise NotAllowed("Only an approver can put',
            "test_only_an_approver_sets_and_lifts_a_hold",
            '    if False:\n        raise NotAllowed("Only an approver can put',
        ),
        "An approver deletes a key that another one keeps.": Guard(
            "if hold := await self._store.hold_on(rotation.plan.old_key.id, self._now()):",
            "test_delete_old_key_is_refused_while_the_key_is_on_hold",
            "if hold := None:",
        ),
        "A key is deleted that was put on hold after the approval.": Guard(
            "await minding_holds(decided(reviewed), world)",
            "test_a_hold_that_is_set_once_the_delete_is_noted_keeps_the_key",
            "decided(reviewed)",
        ),
        "A roll back deletes a key that is on hold.": Guard(
            "if not why and await world.holds.hold_on(key.id, world.now()):",
            "test_a_roll_back_leaves_a_new_key_that_is_on_hold",
        ),
        "A rotation that is carried over leaves behind the hold that keeps its key.": Guard(
            "await self._bring_holds(source)",
            "test_holds_come_along_to_another_namespace_before_any_rotation_does",
            "pass",
        ),
        "A hold that an older version can't read does not count.": Guard(
            "return unreadable(key_id, now)", "test_a_hold_that_cannot_be_read_counts", "return None"
        ),
        "The last look and the delete run unapproved.": Guard(
            "if step.gated and rotation.lacks_approval:", "test_a_gated_step_waits_for_enough_approvals"
        ),
        "The old key goes before anybody was asked.": Guard(
            '"deleting the old key", gated=True',
            "test_every_irreversible_step_is_gated_and_comes_right_after_the_last_look",
            '"deleting the old key"',
        ),
        "An approval of what was seen before counts for what is verified after it.": Guard(
            " if rotation.deleted_at else ()", "test_rewinding_undoes_a_step_and_all_after_it_and_voids_the_approval"
        ),
        "A setting that was made stricter does not count for rotations under way.": Guard(
            "max(rotation.approvals_required, self._rules.approvals_required, policy.approvals)",
            "test_as_many_approvals_are_needed_as_the_larger_of_the_two_rules_says",
            "rotation.approvals_required",
        ),
        "An approval counts though its giver could not give it any more.": Guard(
            "if approval.by not in gone",
            "test_an_approval_of_somebody_who_could_not_give_it_now_is_dropped_and_the_others_stay",
        ),
        "Who has left the user group approves by a list that Keyturn remembers.": Guard(
            "if may_be_in and person_id in await self._directory.members(group):",
            "test_people_who_left_the_group_are_refused_at_once_and_those_who_joined_are_let_in_soon",
            "if may_be_in:",
        ),
        "The second of two approvals is added to one of somebody who has left.": Guard(
            "reviewed = await self._people.reviewed(recorded, self._now())",
            "test_a_second_approval_is_not_added_to_one_of_somebody_who_has_left",
            "reviewed = rotation",
        ),
        "The delete goes out with the approval of somebody who has just left.": Guard(
            "if rotation.lacks_approval:\n        return Unapproved(rotation)\n    changes =",
            "test_no_delete_is_sent_where_too_few_approvals_count",
            "changes =",
        ),
        "While Slack is away, nobody looks whether the approvals still count.": Guard(
            "except Unanswerable:\n        return None\n",
            "test_where_slack_cannot_tell_it_is_tried_again_and_nothing_is_deleted",
            "except Unanswerable:\n        return rotation\n",
        ),
        "The delete goes out with an approval of something else.": Guard(", *other_than_shown(rotation)", SINCE),
        "Of two approvals, only one has to be of what is known now.": Guard(
            "any(approval.digest !=",
            "test_one_approval_of_something_else_is_enough_to_ask_again",
            "all(approval.digest !=",
        ),
        "Requesters approve their own rotations whatever SELF_APPROVAL says.": Guard(
            "self_approval=settings.self_approval",
            "test_every_rule_and_limit_is_what_its_own_setting_says",
            "self_approval=True",
        ),
        "An approver is asked, and the delete follows the click without a look.": Guard(
            "before_approval(rotation)", "test_an_approver_is_asked_before_the_last_look", "rotation"
        ),
        "Accept unproved at a stop of the delete goes on at the delete.": Guard(
            "earlier(rotation, rotation.stop.step, StepName.RECHECK)",
            "test_what_is_accepted_at_the_delete_is_looked_at_again",
            "rotation.stop.step",
        ),
        "An approver releases the delete on evidence of last week.": Guard(
            "if oldest and _approved_at(rotation) - oldest > world.limits.evidence_max_age:",
            "test_an_approval_of_evidence_that_was_too_old_at_the_click_is_void",
        ),
        "The second of two approvals comes a week after the first, and the evidence passes as fresh.": Guard(
            "max(approval.at", "test_an_approval_of_evidence_that_was_too_old_at_the_click_is_void", "min(approval.at"
        ),
    },
    "Records, leases and clocks": {
        "Of two that change a rotation at once, the later overwrites what the first has decided.": Guard(
            "if is ~= expected then return 'CONFLICT' end\nlocal holder",
            "test_a_conflicting_write_is_refused_and_changes_nothing",
            "local holder",
        ),
        "Of two that change a batch at once, the later overwrites what the first has decided.": Guard(
            "if is ~= expected then return 'CONFLICT' end\nif",
            "test_a_batch_is_written_over_the_version_that_was_read_and_each_change_is_in_the_trail",
            "if",
        ),
        "Two rotations of one key run at once, and each deletes what the other needs.": Guard(
            "if holds == '1' and holder and holder ~= id then return 'TAKEN ' .. holder end\n",
            "test_a_key_is_claimed_with_the_request_and_of_two_at_once_one_gets_it",
        ),
        "A bot moves a rotation of another workspace or another AISIX.": Guard(
            "if rotation.namespace != self.namespace.name:",
            "test_a_record_that_was_copied_under_another_bots_names_is_refused_and_left_out",
        ),
        "An older version writes a record of a newer one, and leaves out what it does not know.": Guard(
            "if rotation.schema_version > SCHEMA:", "test_a_record_of_a_newer_version_is_left_alone"
        ),
        "Two workers have one rotation in hand.": Guard(
            "self._token, nx=True, px=", "test_only_one_process_holds_a_lease", "self._token, px="
        ),
        "A worker that was frozen takes the lease of the one that has taken over for its own.": Guard(
            "if redis.call('GET', lease) ~= token then return {} end\n",
            "test_a_lease_that_another_has_is_lost_and_left_alone",
        ),
        "A worker deletes on a record that another has moved on.": Guard(
            "if not is or tostring(cjson.decode(is).version) ~= version then return {} end",
            "test_a_lease_on_an_outdated_version_of_a_record_is_lost",
        ),
        "A worker that lost its lease gives back that of another one.": Guard(
            "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end",
            "test_a_lease_that_is_lost_ends_what_its_holder_does",
            "redis.call('DEL', KEYS[1])",
        ),
        "A worker goes on with a step after another one has taken over.": Guard(
            "                if holder is not None:\n                    holder.cancel()\n",
            "test_a_lease_that_is_lost_ends_what_its_holder_does",
            "",
        ),
        "A worker that lost its lease records a stop over what another one does.": Guard(
            "    except (LeaseLost, Unanswerable):\n        raise  # nothing can or may be recorded\n",
            "test_a_step_whose_lease_is_lost_or_cannot_be_verified_records_nothing",
        ),
        "Two machines whose clocks differ disagree on what is due and what is old.": Guard(
            "fromtimestamp(running_clock() + self._ahead, UTC)",
            "test_the_clock_runs_on_by_a_monotonic_clock",
            "now(UTC)",
        ),
        "A bot takes over the rotations of another workspace.": Guard(
            "if self._teams is not None and rotation.team not in self._teams:",
            "test_a_record_of_another_or_an_unknown_bot_stays_unchanged",
        ),
    },
    "The last look and the delete": {
        "The old key is deleted while a part of the tenant is not shown, where it may be in use.": Guard(
            "    refuse_unlisted(rotation, inventory, world)\n",
            "test_an_environment_that_is_not_shown_any_more_may_hold_what_uses_the_key",
        ),
        "An environment that was listed is not any more, and what is there is taken for nothing.": Guard(
            "if gone:", "test_an_environment_that_is_not_shown_any_more_may_hold_what_uses_the_key"
        ),
        "A proof by the weaker rules of an older version is enough for the delete.": Guard(
            "[PROVED_BEFORE] if is_of_before else ",
            "test_what_an_older_version_has_verified_is_verified_again_and_what_it_did_not_note_is_listened_to",
        ),
        "A model that is on the new key gets its baseline there, and the new key's refusal excuses itself.": Guard(
            "return [model for model in models if model.id not in moved]\n",
            "test_a_model_that_is_on_the_new_key_already_gets_no_baseline",
            "return models\n",
        ),
        "The replacement is removed while gateways still use it for a model whose move was not recorded.": Guard(
            "if unrecorded:", "test_on_the_way_back_the_gateways_get_their_time_for_a_move_that_was_not_recorded"
        ),
        "A replacement is removed while a route uses it that AISIX does not list any more.": Guard(
            "_vanished(rotation, inventory)", "test_on_the_way_back_a_key_stays_that_something_unseen_may_use", "''"
        ),
        "The doctor takes callers back to a key that the rotation never replaced, and removes the key in use.": Guard(
            "named, recorded)", "test_the_doctor_takes_nothing_back_to_a_key_that_the_record_does_not_name", "named)"
        ),
        "Callers go back to an account that lacks their models, and the key that served them is removed.": Guard(
            " or latest.lacks_model", "test_a_model_is_back_when_it_answers_as_before"
        ),
        "A replacement is removed under a route that AISIX has never listed and that people pointed at it.": Guard(
            "if _is_offered(rotation, key) and (unlisted",
            "test_a_key_under_a_route_that_cannot_be_listed_stays_and_goes_on_serving",
            "if False and (unlisted",
        ),
        "A list that was readable answers 404 now, and is taken for empty.": Guard(
            "if lost:", "test_a_list_that_is_not_shown_any_more_stops_the_delete_by_name"
        ),
        "A list that came and went between the last look and the delete hides a use.": Guard(
            "    refuse_uncovered(rotation.but(plan=listed_since(rotation.plan, inventory)), world)\n", SINCE
        ),
        "One silent replica stands for all of them.": Guard(
            "len(every) >= coverage.replicas and ", "test_what_cannot_be_listed_has_to_be_silent_on_every_replica_there"
        ),
        "The old key is deleted while a model or route refers to it.": Guard("if users:\n        ours", SINCE),
        "A key in use is deleted because its id stands in a field that Keyturn does not know.": Guard(
            " or self.id in thing.mentions",
            "test_what_names_the_key_in_another_place_is_warned_of_at_once_and_counts_as_a_user",
        ),
        "The old key is deleted while a passthrough route injects it.": Guard(
            " *routes", "test_everything_that_refers_to_a_key_is_named"
        ),
        "The delete goes on though somebody changed what the approver saw.": Guard(
            "rotation = refuse_drift(rotation, inventory, world)\n    key",
            "test_two_swapped_aliases_stop_the_rotation",
            "key",
        ),
        "The old key is deleted while an affected model is not on the replacement.": Guard("if astray:", SINCE),
        "The old key is deleted though the replacement does not exist any more.": Guard(
            ", inventory, world)\n    key = replacement_in(rotation, inventory)",
            SINCE,
            ", inventory, world)\n    key = inventory.key(rotation.replacement_id) or rotation.plan.old_key",
        ),
        "A worker that was frozen after its last look deletes when it wakes up.": Guard(
            "held = await world.hold.verified(rotation.version)\n    age",
            "test_a_lease_that_is_lost_before_or_during_the_delete_ends_it",
            "held = began\n    age",
        ),
        "The delete goes out on lists that are older than 2 s.": Guard(
            "if age > FRESH:", "test_a_list_that_is_older_than_two_seconds_is_read_again_by_whichever_clock_it_is"
        ),
        "A delete that hangs is still under way when another worker has taken over.": Guard(
            "old_key.id, within=held.left * PART_OF_THE_LEASE)",
            "test_a_delete_is_not_asked_for_once_its_time_is_over",
            "old_key.id)",
        ),
        "The delete may take as long as any other call, and the lease is over meanwhile.": Guard(
            "asyncio.timeout(within):",
            "test_a_delete_that_takes_too_long_is_given_up_while_the_lease_lasts",
            "asyncio.timeout(None):",
        ),
        "Redis answers late, and a lease that is over counts as held.": Guard(
            "return Moment(here, ", "test_a_lease_counts_from_before_the_question", "return Moment(running_clock(), "
        ),
        "A worker that lost its lease during the delete records what it thinks came of it.": Guard(
            "        await world.hold.verified(rotation.version)\n    except",
            "test_a_lease_that_is_lost_before_or_during_the_delete_ends_it",
            "    except",
        ),
        "A bot that was away for an hour between the last look and the delete deletes.": Guard(
            "if any(abs(world.now() - at) > LOOK_LASTS for at in moments):",
            "test_each_part_of_the_last_look_has_to_be_of_the_last_minutes",
        ),
        "A record that says nothing of a last look is deleted without one.": Guard(
            '        yield "Nothing says when the last look was."\n',
            "test_each_part_of_the_last_look_has_to_be_of_the_last_minutes",
        ),
        "REQUIRE_PROOF is set after the last look, and a key is deleted without a proof.": Guard(
            ", *_demanded(rotation, world)", "test_stricter_settings_since_the_last_look_count"
        ),
        "The answer to a delete is lost, and people are offered a way back to a key that is gone.": Guard(
            " if noted else _about_to_delete(rotation, world)",
            "test_the_delete_goes_out_after_the_lists_were_read_and_the_lease_was_verified_after_them",
        ),
        "A worker that stood still records that nothing is under way while another one's delete is.": Guard(
            "is_noted = rotation.delete_try == move_mark(rotation.version, world)\n",
            "test_the_worker_that_deletes_notes_it_so_that_no_other_overwrites_the_record",
            "is_noted = rotation.delete_asked_at is not None\n",
        ),
        "AISIX refuses the second delete, models go back to the old key, and the first delete comes true.": Guard(
            "if rotation.delete_repeated:", "test_a_refusal_says_nothing_of_an_earlier_delete"
        ),
        "Something uses the old key before the second delete, models go back to it, and the first comes true.": Guard(
            "is_noted and not rotation.delete_repeated",
            "test_the_note_of_a_delete_that_may_have_been_sent_stays",
            "is_noted",
        ),
        "A gateway leaves the settings after the approval, and nobody asks its models in the last look.": Guard(
            "    refuse_unverifiable(rotation, world)\n    rotation = _without_broken_look(",
            "test_an_environment_whose_gateway_is_in_the_settings_no_more_keeps_the_old_key",
            "    rotation = _without_broken_look(",
        ),
        "A token that may not see keys any more makes the old key look deleted.": Guard(
            "rotation.delete_granted or inventory.key(rotation.replacement_id) is not None",
            "test_a_token_that_sees_no_key_any_more_shows_no_delete",
            "True",
        ),
        "An answer that reports a failure in its body counts as a delete.": Guard(
            "isinstance(answer.body, dict) and complains(answer.body)",
            "test_an_answer_that_confirms_no_delete_grants_none",
            "False",
        ),
        "A machine that was suspended removes a new key that somebody uses by now.": Guard(
            "held = await world.hold.verified(rotation.version)\n        if read",
            "test_a_worker_that_was_suspended_after_its_look_removes_no_key",
            "held = read\n        if read",
        ),
        "A machine that was suspended goes on moving models that another worker has moved back.": Guard(
            "if held.left <= 0:", "test_a_worker_that_was_suspended_before_or_while_it_moved_models_moves_no_more"
        ),
        "A delete is repeated on a look that is as old as the first try.": Guard(
            'await self._once("DELETE", address("provider_keys", key_id))',
            "test_g23_a_delete_is_asked_for_once_and_a_lost_answer_is_no_error_the_next_time",
            'await self._again("DELETE", address("provider_keys", key_id))',
        ),
        "The old key is deleted though a replica has counted a request on it since the change.": Guard(
            '    yield from (f"{sentence}." for sentence in old_key_uses(now))\n', SINCE
        ),
        "A replica that shows its counters no more is taken for one that does not use the old key.": Guard(
            "*_counters_lost(now), ", "test_a_replica_that_shows_no_counters_any_more_is_missed_whatever_the_clocks_say"
        ),
        "A router that has come to depend on the models since is not shown to the approver.": Guard(
            "    yield from _reached_otherwise(seen.plan.dependents, now.plan.dependents)\n", SINCE
        ),
        "The old key is deleted though the new secret was revoked since the proof.": Guard(
            "    refuse_rejected(rotation, doubtful(rotation, world))\n", SINCE
        ),
        "The last look takes a model's answer of before the approval for one of now.": Guard(
            "if rotation.finding(model).look != rotation.look]",
            "test_the_last_look_asks_every_model_whatever_the_clocks_say",
            "if not rotation.finding(model).latest]",
        ),
        "A replica that was added since the proof, and serves the old key, is not met.": Guard(
            ", last=True", "test_the_last_look_asks_every_model_whatever_the_clocks_say"
        ),
        "An answer that was lost is in the counters in place of one that an unlisted replica gave.": Guard(
            " + late.lost", "test_an_answer_that_was_lost_or_turned_away_stands_in_for_none_that_is_missing"
        ),
        "Test requests from before the last look hide an answer of a replica that was added.": Guard(
            "return tells and not used and not any(map(doubt, seen))",
            "test_requests_of_a_dead_worker_or_an_earlier_watch_hide_no_answer",
            "return False",
        ),
        "Requests that hung in an earlier look count in this one, and hide an answer of an added replica.": Guard(
            "reset.but(adrift=self.pending + self.adrift_still(at), adrift_at=at) if at else ",
            "test_requests_that_hung_in_the_look_before_hide_no_answer",
        ),
        "Where no model is proved, a replica that was added is not met.": Guard(
            "proved or not tells", "test_lost_answers_are_made_up_for_also_for_a_likely_model", "True"
        ),
        "A rate limit of a listed replica is counted in place of a failed answer of one that was added.": Guard(
            " - self.turned_away", WEIGHED
        ),
        "One page that could not be read makes Keyturn forget whose requests are its own.": Guard(
            " if window.now.callers", "test_a_page_that_could_not_be_read_once_leaves_known_whose_requests_are_ours"
        ),
        "One replica's refusal of the new secret is covered by another's answer just before the delete.": Guard(
            "and not _is_against(before)", "test_a_refusal_is_not_covered_by_the_answers_after_it"
        ),
        "Counters no longer tell our requests from callers', so none is missed, and what was proved stays so.": Guard(
            " or untold(seen, dark=last)", "test_counters_that_no_longer_tell_our_requests_apart_prove_nothing"
        ),
        "An approver accepts a model for one reason, and the word covers another.": Guard(
            "answer.passed and verdict is Verdict.INCONCLUSIVE",
            "test_an_acceptance_for_one_reason_covers_no_other",
            "False",
        ),
        "Nothing proves the new secret any more at the last look, and nobody has accepted that.": Guard(
            "if (why := unproved(now)) and not is_accepted(now):",
            "test_accepting_that_nothing_proves_the_key_covers_only_that_and_lasts_as_long_as_evidence",
        ),
        "Lists that lack the old key are believed, though it is found by its id.": Guard(
            "        if await self._is_found(key_id):\n            return False\n",
            "test_lists_that_keep_lacking_a_key_found_by_its_id_stop_the_delete",
            "",
        ),
        "AISIX fails when it is asked for a key by its id, and the key counts as gone.": Guard(
            "        except Uncertain:\n            raise\n        except ApiError:\n",
            "test_a_key_is_gone_if_only_the_key_beside_it_is_found",
            "        except ApiError:\n",
        ),
        "A list that lacks every key makes the old key deleted.": Guard(
            " or (by_id and beside not in listed)",
            "test_a_key_is_gone_if_only_the_key_beside_it_is_found",
        ),
        "One stale list makes the old key deleted, where AISIX shows no key by its id.": Guard(
            "range(1 if by_id else 2)", "test_a_list_that_lacks_the_old_key_for_a_moment_is_no_delete", "range(0)"
        ),
        "A wrong secret is found out by callers: models move although the rehearsal failed.": Guard(
            "if rotation.rehearsal == FAILED:\n        raise", "test_a_wrong_replacement_takes_no_model"
        ),
        "A 404 to the delete, of a path that AISIX does not know, counts as a delete.": Guard(
            "return granted\n", "test_an_answer_that_confirms_no_delete_grants_none", "return True\n"
        ),
        "A replacement of an earlier attempt is removed while models use it.": Guard(
            "users_of(inventory, key):", "test_a_key_of_an_earlier_attempt_stays_where_something_may_use_it", "():"
        ),
        "A replacement whose creation was answered too late is removed while something uses it.": Guard(
            "if why:\n            await self",
            "test_a_replacement_that_comes_too_late_is_removed_unless_something_uses_it",
        ),
        "A model that a person named like a throw-away one is deleted.": Guard(
            "        and not any(key.is_used_by(model) for key in foreign)\n",
            "test_a_throw_away_model_is_a_rotations_own_if_it_is_on_its_key_and_nothing_refers_to_it",
        ),
        "AISIX answers a creation with the old key, and models are moved to what is then deleted.": Guard(
            "if key.id == rotation.plan.old_key.id:", "test_a_wrong_replacement_takes_no_model"
        ),
        "Models are moved to a replacement with another base URL or another setting.": Guard(
            "    _refuse_difference(rotation, old, key)\n", "test_a_wrong_replacement_takes_no_model"
        ),
    },
    "Lists are read to their end": {
        "A row that moves to a page that was read is on no page.": Guard(
            "if batch and self._is_of_all and told < self.total:",
            "test_a_list_whose_total_falls_while_it_is_read_is_not_believed",
        ),
        "An answer that is no list is taken for an empty one.": Guard(
            "if listed is None:\n            raise NotAList\n",
            "test_an_answer_that_is_no_list_is_not_an_empty_one",
            "listed = listed or []\n",
        ),
        "An answer of 200 that says inside that it failed is taken for an empty list.": Guard(
            " or complains(body)",
            "test_rows_are_found_in_every_envelope_and_none_where_it_says_that_it_failed",
        ),
        "A list that says nothing of its end is read short, and a reference is not seen.": Guard(
            " and (not batch or signs.is_last(self.pages, batch, seen))",
            "test_one_more_page_is_asked_for_where_nothing_settles_the_end_and_only_there",
        ),
        "A list that repeats its last page is not asked for the rows beyond its first page once it has grown.": Guard(
            "joined = {name: value for way in ways for name, value in way.items()}",
            "test_a_list_that_grows_is_still_read_to_its_end_with_what_was_learnt_of_it",
            'joined = {"page": 2, "of": 1}',
        ),
        "Fewer rows come than the total says, and the list is believed.": Guard(
            " or reader.total > len(reader.rows)", "test_a_list_that_cannot_be_read_as_far_as_it_says_is_not_believed"
        ),
        "A second page that answers 500 is taken for the end of the list.": Guard(
            " or error.status not in NO_SUCH_PAGE",
            "test_a_further_page_that_is_not_answered_is_not_the_end_unless_it_is_not_there",
        ),
        "A list of cache policies or routes that answers 500 is taken for one that there is not.": Guard(
            "(NotFound, Unsupported)", "test_a_list_that_could_hide_a_reference_may_not_fail", "ApiError"
        ),
        "A list that a tenant does not have is taken for an empty one.": Guard(
            "[Unlisted(kind=kind, environment=environment)] if found is None else ",
            "test_the_same_world_is_read_whatever_its_shape_and_a_list_that_is_not_there_is_no_empty_one",
        ),
        "A reference in another case, or in a path like `provider_keys/7`, is not seen.": Guard(
            "self.ids and word.text not in self.names",
            "test_a_reference_to_a_key_is_seen_wherever_it_stands",
            "self.exact",
        ),
    },
    "What a verdict takes": {
        "A replica has rejected the change, serves the old key on, and the model is proved.": Guard(
            "if {seen.model_id, seen.replacement_id} & set(now.rejected):", WEIGHED
        ),
        "A replica has counted answers on the old key, and the model is proved.": Guard("if served.old:", WEIGHED),
        "A model is served with a key that is neither the old nor the new one, and is proved.": Guard(
            "if not window.since.served(seen.model_id).third:", WEIGHED, "if True:"
        ),
        "A replica that does not list the barrier is taken for one that has the change.": Guard(
            "if not seen.barrier or listed is None or seen.barrier in listed:", WEIGHED, "if True:"
        ),
        "A replica that is cut off from the control plane is taken for one that has the change.": Guard(
            "not (now.connected is False or now.state in OUT_OF_TOUCH):", WEIGHED, "True:"
        ),
        "A replica that began again with an old file since the proof serves the old key.": Guard(
            "if window.restarted:", WEIGHED
        ),
        "A replica that was away at the proof, and is back without the change, serves the old key.": Guard(
            "if window.before is None or window.before.trouble:", WEIGHED
        ),
        "A model that other settings bring into the wave answers on the old key, and is likely.": Guard(
            "current_models(rotation, world)):\n        return Again",
            "test_a_model_that_other_settings_bring_into_the_wave_is_moved_before_it_is_verified",
            "current_models(rotation, world)) and False:\n        return Again",
        ),
        "A replica that is not in the settings answers test requests, and the model is proved.": Guard(
            "if not seen.uncounted:", WEIGHED, "if True:"
        ),
        "A gateway goes on with a token of the old secret, and the model is proved.": Guard(
            "if seen.old_token_until is None:", WEIGHED, "if True:"
        ),
        "One good answer is enough.": Guard("if seen.passes < max(1, seen.wanted):", WEIGHED),
        "Requests of callers stand in for test requests.": Guard(
            "does not tell our test requests from callers' (no `api_key_id`)", WEIGHED
        ),
        "A replica that no test request has met is proved with the others.": Guard(
            "elif not ours.new:", WEIGHED, "elif False:"
        ),
        "Somebody else uses the caller key, and hides that a test request was answered elsewhere.": Guard(
            "if seen.told and _ours(seen) > seen.answered:", WEIGHED
        ),
        "A test request without an answer, in no counter, is not missed.": Guard("if seen.lost:", WEIGHED),
        "Settings that do not say how many replicas there are give a proof.": Guard(
            "if not (listed and met) and not world.status.says_how_many(environment):",
            "test_where_the_settings_do_not_tell_of_every_replica_nothing_is_proved",
        ),
        "A replica without counters is proved.": Guard(
            '"shows no counters" if window.now.counts is None else ', WEIGHED
        ),
        "Counters of before the newest answer count for it.": Guard("if now.at < seen.answer.at:", WEIGHED),
        "Requests that were counted without a key count for the new one.": Guard("if served.blind:", WEIGHED),
        "A request on the old key through a router, under no name of ours, is not seen.": Guard(
            "if unnamed.uses_old and not seen.others_remain:", WEIGHED
        ),
        "A 200 of any replica makes a model likely, though another one may lack the change.": Guard(
            "(seen.projected or _is_everywhere(seen)):", WEIGHED, "True:"
        ),
        "An answer that says nothing hides what a replica shows, and an approver accepts it.": Guard(
            " seen.answer.verdict in FINAL and", WEIGHED
        ),
        "A replica has rejected the change of a model that fails as before, and serves it with the old key.": Guard(
            " and not seen.as_before", "test_a_model_that_fails_as_before_is_not_excused_from_what_a_replica_shows"
        ),
        "A cache answers for the new key.": Guard(
            "if answer.cache not in NO_HIT:", "test_what_else_an_answer_shows_decides_before_its_status"
        ),
        "A fallback answers for the new key.": Guard(
            "if not is_own:", "test_what_else_an_answer_shows_decides_before_its_status"
        ),
        "A wildcard or an ensemble answers for the new key, and no counters are to be seen.": Guard(
            "else matches(alias, asked)", "test_a_trap_is_no_green_light", "else True"
        ),
        "A login page with status 200 counts as an answer of the model.": Guard(
            "if answer.malformed:", "test_what_else_an_answer_shows_decides_before_its_status"
        ),
        "REQUIRE_PROOF is set, and a likely model is enough.": Guard(
            "(verdict.passed and not require_proof)",
            "test_a_verdict_is_enough_where_the_settings_say_so",
            "verdict.passed",
        ),
        "No model of an environment answers, before or now, and the delete is offered.": Guard(
            "if why and not is_accepted(rotation):", "test_where_no_model_uses_the_key_nothing_is_proved"
        ),
        "An environment without a gateway in the settings is not asked, and the delete is offered.": Guard(
            "if blind:\n", "test_what_cannot_be_verified_or_moved_by_the_bot_stops_it"
        ),
        "A passthrough route still holds the old key, and the delete is offered.": Guard(
            "if plan.routes:", "test_what_cannot_be_verified_or_moved_by_the_bot_stops_it"
        ),
        "A model that may answer at another endpoint is taken for one that failed before.": Guard(
            " and latest is not None and not latest.unfit",
            "test_a_model_that_may_answer_at_another_endpoint_is_not_excused",
        ),
    },
    "Which replica was seen": {
        "Each **Try again** is another draw, until a stuck replica is missed by chance.": Guard(
            " / (attempt * (attempt + 1)) if attempt else missed",
            "test_the_chances_of_all_tests_of_a_rotation_add_up_to_one_in_a_thousand_at_most",
        ),
        "A replica more than the settings name is not met by the barrier's test.": Guard(
            "barrier.environment) + 1",
            "test_a_barrier_is_asked_often_enough_to_meet_one_replica_more_than_listed",
            "barrier.environment)",
        ),
        "Good answers before and after a replica that lacks the change count as one run.": Guard(
            "if _has_row(evidence) else 0", "test_a_bad_answer_ends_a_run_of_good_ones", "* _has_row(evidence)"
        ),
        "Every listed replica has the change, another answers 404, and is asked again until it is not met.": Guard(
            "if _is_unknown_somewhere(barrier) and _all_have(rotation, barrier.environment, seen, world):",
            "test_an_unlisted_replica_stops_the_rotation",
        ),
        "A barrier that a dead worker made before the change is taken for one that was made after it.": Guard(
            " or b.name in there", "test_a_barrier_that_a_crash_left_behind_is_not_taken_for_one_made_after_the_change"
        ),
        "A barrier counts for a model that somebody has moved after it was made.": Guard(
            "return without_barriers(moved, {model.environment for model in fresh})",
            "test_a_barrier_that_a_crash_left_behind_is_not_taken_for_one_made_after_the_change",
            "return moved",
        ),
        "A barrier counts that was made while a model was not where it had been moved.": Guard(
            "Done(made) if there",
            "test_a_barrier_beside_which_the_models_are_not_read_back_is_made_again",
            "Done(made) if made",
        ),
        "A replica that is not in the settings answers for the barrier.": Guard(
            "    refuse_uncounted(rotation, seen, world)\n", "test_an_unlisted_replica_stops_the_rotation"
        ),
        "A replica that is not in the settings answers a test request, and the next try misses it.": Guard(
            "    await refuse_answered_elsewhere(view, answered)\n", "test_an_unlisted_replica_stops_the_rotation"
        ),
        "A replica that began again hides that another one has answered for the barrier.": Guard(
            " and window.started_again", "test_counters_that_went_on_are_expected_to_have_it_still"
        ),
        "A balancer knows Keyturn again by its cookie, and shows it one replica of many.": Guard(
            "allowed_domains=()", "test_no_cookie_is_sent_back_to_a_load_balancer"
        ),
        "A balancer of connections sends every test request to the same replica.": Guard(
            "for one in settings.values()], timeout=timeout)",
            "test_each_probe_has_a_connection_of_its_own",
            "for one in settings.values()], timeout=timeout, kept=4)",
        ),
        "A page that was put together from several replicas hides one that was not reached.": Guard(
            "        _check_one_replica(self.samples)\n",
            "test_a_page_put_together_from_several_replicas_shows_no_counters",
        ),
        "A page of another program, without a count on the old key, is proof.": Guard(
            " if page.is_gateways else None",
            "test_only_the_page_of_a_gateway_shows_counters_also_before_the_first_request",
        ),
        "A count that is none, or too large to show one more, hides a use of the old key.": Guard(
            "if 0 <= value < MOST and value == int(value):",
            "test_a_value_that_is_no_count_makes_the_page_useless",
            "if value == value and abs(value) != math.inf:",
        ),
        "A line whose labels fit both keys counts for the new one.": Guard(
            "{id_, name} &", "test_the_labels_of_a_request_tell_which_key_served_it", "(id_ or name) in"
        ),
        "Passthrough requests on the old key are not heard.": Guard(
            " PROXY,", "test_no_family_that_hears_the_old_key_is_left_out"
        ),
        "A count under an alias that two models share speaks for one of them.": Guard(
            " if often[model.alias] == 1 else UNNAMED",
            "test_a_count_of_an_alias_that_two_models_share_counts_for_neither",
        ),
        "A replica that restarted, or another one at the same address, is taken for the one of before.": Guard(
            "    if after.restarted_since(before):\n        return after\n",
            "test_counters_that_were_reset_count_in_full",
            "",
        ),
        "A balancer's address shows now one replica and now another, and is taken for one.": Guard(
            'return _staleness(pages) or (BALANCED if watched.is_balanced else "")\n\n    async',
            "test_a_balancers_address_is_named_and_shows_no_counters",
            "return _staleness(pages)\n\n    async",
        ),
        "A cache on the way shows counters of before.": Guard(
            "if response.is_success and is_cached(response.headers):", "test_a_page_from_a_cache_is_doubted"
        ),
        "One replica under two addresses stands for two.": Guard(
            "Pages(pages.seen.but(trouble=twin(other))) if other and not pages.seen.trouble else ",
            "test_a_replica_under_two_addresses_counts_once",
        ),
        "The page of a replica of another environment shows that the old key is silent.": Guard(
            "if is_foreign(listed, asked.models):", "test_an_address_of_another_environment_is_found_out"
        ),
    },
    "What callers met, and its chart": {
        "A gateway that restarts or goes dark takes the failed requests along, and the card turns green.": Guard(
            "map(max, ledger.now, summed([ledger.then, met(ledger, replicas)]))",
            "test_failures_are_not_forgotten_when_their_gateway_restarts_or_goes_dark",
            "summed([ledger.then, met(ledger, replicas)])",
        ),
        "A chart shows fewer requests, as those of a gateway that could not be read are missing.": Guard(
            "if not all(map(_is_readable, snapshots)):", "test_what_was_not_read_is_never_a_zero"
        ),
        "A chart shows no request on the old key where counters do not name the key.": Guard(
            " and not any(served.blind for served in replica.counts.values())", "test_what_was_not_read_is_never_a_zero"
        ),
        "A gateway that restarted or came counts from zero, and the chart shows it.": Guard(
            "if not _went_on(series.read, now):", "test_what_was_not_read_is_never_a_zero"
        ),
        "A look at some environments counts as one at all of them.": Guard(
            "if not snapshots or not seen.keys() >= series.read.keys():",
            "test_a_look_at_some_environments_tells_of_no_interval",
            "if not snapshots:",
        ),
        "One failed request in an hour is rounded to none.": Guard(
            "max(round(rate, 2), LEAST)",
            "test_a_rate_is_of_a_minute_and_a_few_requests_are_never_none",
            "round(rate, 2)",
        ),
        "Requests that are refused for want of the deleted key are missing among the failed ones.": Guard(
            " + sum(sum(replica.orphaned.values()) for replica in counted)",
            "test_what_is_refused_for_want_of_the_deleted_key_failed",
        ),
        "A roll back stops while models need it, and nobody is paged.": Guard(
            " or _is_stuck_on_the_way_back(rotation)\n\n\n",
            "test_what_waits_for_people_is_read_off_the_record",
            "\n\n\n",
        ),
        "Callers fail in the evening, and in the morning nobody is paged any more.": Guard(
            "paces.page_after, 10, HOUR, at_any_hour=True, then=HOUR),\n    Kind.LEAK",
            "test_callers_that_fail_wait_for_no_morning",
            "paces.page_after, 10, HOUR, at_any_hour=True),\n    Kind.LEAK",
        ),
        "The end of a soak in the night calls approvers.": Guard(
            "later = [] if is_at_it or hours.next_open(now) <= now else new",
            "test_at_night_nobody_is_called_to_what_can_wait_unless_somebody_is_at_it",
            "later: list[str] = []",
        ),
        "Who waits for what they have just set going is not called at night.": Guard(
            ".but(acted_at=now)", "test_a_click_notes_when_somebody_was_at_it", ""
        ),
        "What is told at night without a call calls nobody in the morning.": Guard(
            "pause = timedelta(0) if last and not number else _pause(rhythm, number)",
            "test_at_night_nobody_is_called_to_what_can_wait_unless_somebody_is_at_it",
            "pause = _pause(rhythm, number)",
        ),
        "Each look at the counters edits the card.": Guard(
            "_digest(steady)",
            "test_a_look_that_only_adds_to_the_chart_edits_no_message_and_the_next_edit_has_it",
            "_digest(content)",
        ),
    },
    "A leak": {
        "The card calls it safe to revoke a key that callers still need.": Guard(
            "    if needing(rotation):\n        return Standing.NEEDED\n",
            "test_revoking_is_safe_only_once_every_model_is_moved_and_proved_and_nothing_speaks_against_it",
            "",
        ),
        "A leak that is reported during the cut-over moves models before their wave.": Guard(
            "return not rotation.moved and rotation.wave == 0 and StepName.CUT_OVER not in rotation.done",
            "test_waves_that_have_begun_go_on_and_a_soak_that_is_under_way_is_measured_again",
            "return True",
        ),
        "A leak moves models in a closed window although no approver says so.": Guard(
            "if start is None:",
            "test_a_leak_waits_for_no_window_if_one_approver_starts_it_and_that_is_recorded",
        ),
        "A secret that somebody pastes into the report of a leak is shown to everyone.": Guard(
            '“unknown” will do.", field=field)\n    shape.refuse_likeness(text, field)',
            "test_what_looks_like_a_secret_is_refused_in_every_field_and_repeated_nowhere",
            '“unknown” will do.", field=field)',
        ),
        "A finished card is green before the leak is reviewed and the key revoked.": Guard(
            "        is_still_due(rotation)\n        or (",
            "test_a_leak_is_not_green_before_its_review_and_its_revocation",
            "(",
        ),
    },
    "The secret": {
        "Slack's libraries write the body of a form, with the secret, into the log.": Guard(
            "if record.name.startswith(TALKATIVE):", "test_an_exception_in_a_listener_logs_its_place_and_not_its_text"
        ),
        "A traceback shows local variables, the secret among them.": Guard(
            ", exception_formatter=plain", "test_tracebacks_show_no_local_variables"
        ),
        "The code of an upstream's error, which may hold a part of a key, is stored and shown.": Guard(
            " and word in known", "test_no_text_of_the_upstream_gets_into_evidence"
        ),
        "A password in a status address gets into the record.": Guard(
            "{bare(url): url for url", "test_a_password_in_an_address_is_sent_and_never_shown", "{url: url for url"
        ),
        "A field of a provider key that holds its secret is stored in the plan.": Guard(
            "        and not SECRET_FIELDS.search(name)\n",
            "test_every_setting_of_a_key_is_read_and_what_the_server_makes_is_not",
        ),
        "A piece of the secret becomes the name of the replacement key, for everybody to read.": Guard(
            "if shape.shares_a_piece(name, checked):", "test_a_name_that_holds_a_piece_of_the_secret_is_refused"
        ),
        "A secret that was typed into the reason or the ticket is recorded, and everybody reads it.": Guard(
            "shape.refuse_secret(text, secret, field)",
            "test_a_reason_or_a_ticket_that_holds_a_secret_is_refused_at_its_field_and_not_repeated",
            "pass",
        ),
        "A pattern of tickets takes years to match what somebody types, and the bot does nothing else.": Guard(
            r"""if re.search(r"\)(?:[*+?]|\{)", bare):""",
            "test_a_pattern_that_could_take_years_or_fits_nothing_is_refused",
        ),
        "A ticket leads to another page than the settings name.": Guard(
            'quote(ticket, safe="")',
            "test_a_ticket_stays_within_its_part_of_the_address_and_a_long_address_is_none",
            "ticket",
        ),
        "A secret hangs on an error that the service raises, and so comes back to the handler.": Guard(
            "            shape.forget_locals(error)\n", "test_a_secret_never_comes_back_to_the_handler"
        ),
        "The handler keeps the secret in the payload after it has handed it over.": Guard(
            '.pop("value", None)', "test_a_secret_never_comes_back_to_the_handler", '.get("value")'
        ),
        "A secret that was pasted as a reason goes into the receipt.": Guard(
            "EMPTY, field=field)\n    shape.refuse_likeness(text, field)",
            "test_a_reason_is_neither_a_secret_nor_empty",
            "EMPTY, field=field)",
        ),
        "A secret that was typed after the command is repeated in the answer and the audit trail.": Guard(
            """if shape.is_surely_secret(asked) or shape.may_be_secret(asked):
                raise LooksLikeSecret from None
            raise
        except (NotAllowed""",
            "test_a_secret_that_is_typed_after_the_command_is_not_repeated",
        ),
        "Keyturn's own token, pasted by mistake, is sent to the provider.": Guard(
            "if any(secret == ours.get_secret_value() for ours in own):",
            "test_a_secret_of_keyturns_own_is_never_sent_to_a_provider",
        ),
        "The secret in use is given again, passes every test, and is revoked with the old key.": Guard(
            "if same:\n", "test_the_secret_in_use_is_refused"
        ),
        "The fingerprint of a secret stays in a record that people can read.": Guard(
            ".but(replacement=wanted.but(fingerprint=None))",
            "test_a_fingerprint_moves_out_of_the_record_once_its_key_has_an_id",
        ),
        "A secret gets into the audit trail, from where nothing can be taken back.": Guard(
            "if secret.is_surely_secret(text) or secret.may_be_secret(text):",
            "test_the_audit_trail_leaves_out_what_may_be_a_secret",
        ),
        "A reference from Slack reads what SECRET_SOURCES does not name.": Guard(
            "if not any(prefix.covers(reference) for prefix in prefixes):",
            "test_nothing_else_is_read_and_no_sentence_repeats_what_was_typed",
        ),
        "A reference reads the neighbour of what is allowed, whose name begins the same.": Guard(
            "reference.path[: len(self.path)] == self.path",
            "test_nothing_else_is_read_and_no_sentence_repeats_what_was_typed",
            "'/'.join(reference.path).startswith('/'.join(self.path))",
        ),
        "A reference with `..` in it leaves what is allowed.": Guard(
            'SEGMENT = r"[A-Za-z0-9_=+@~-][A-Za-z0-9_.=+@~-]*"',
            "test_nothing_else_is_read_and_no_sentence_repeats_what_was_typed",
            'SEGMENT = r"[A-Za-z0-9_.=+@~-]+"',
        ),
        "A key's reference reads the secret of another key.": Guard(
            "for one in allowances if one.touches(key) for",
            "test_what_may_be_read_depends_on_the_key",
            "for one in allowances for",
        ),
        "A link in the folder of secrets leads to any file of the machine.": Guard(
            "if not file.is_relative_to(folder):", "test_what_is_no_file_of_the_folder_is_not_read"
        ),
        "A wrapping token is used up by a form that is refused for its reason.": Guard(
            "        self._motive(rotation, typed, SecretStr(NOWHERE))\n",
            "test_what_can_be_refused_without_the_secret_is_refused_before_it_is_read",
            "",
        ),
        "Any host that an environment names gives the bot an identity at AWS.": Guard(
            'if url and parts.scheme != "https" and parts.hostname not in WITHOUT_TLS:',
            "test_an_identity_that_cannot_be_had_is_told_in_a_sentence",
        ),
        "A 404 of the wrong project or organization counts as a revoked credential.": Guard(
            "        except NotFound:\n            await self._surely_gone(row_id)\n            return Row",
            "test_what_the_wrong_account_does_not_know_is_not_gone",
            "        except NotFound:\n            return Row",
        ),
        "All keys of a service account end with the one that is revoked.": Guard(
            "if any(key.id != row_id for key in owned):",
            "test_a_service_account_is_deleted_only_with_its_only_key",
        ),
        "Of two accounts at a provider that may have a credential, one is asked by chance.": Guard(
            "found = self.fitting(key)\n        return found[0] if len(found) == 1 else None",
            "test_two_accounts_that_fit_one_key_are_wrong_and_neither_is_used",
            "found = self.fitting(key)\n        return found[0] if found else None",
        ),
        "A credential of a proxy is looked for at the provider behind it.": Guard(
            "provider == self.kind and (not key.base_url or there == urlsplit(base).hostname)",
            "test_an_account_says_what_it_can_do_and_which_keys_it_is_for",
            "provider == self.kind",
        ),
        "The bot disables the access key with which it signs itself.": Guard(
            '        await self._not_own(row_id)\n        await self._set(row_id, "Inactive")',
            "test_a_change_that_the_list_does_not_show_is_unclear_and_the_bots_own_key_is_left_alone",
            '        await self._set(row_id, "Inactive")',
        ),
        "The bot deletes the access key with which it signs itself.": Guard(
            '        await self._not_own(row_id)\n        await self._told("DeleteAccessKey"',
            "test_a_change_that_the_list_does_not_show_is_unclear_and_the_bots_own_key_is_left_alone",
            '        await self._told("DeleteAccessKey"',
        ),
        "XML that declares entities is read.": Guard(
            'root = None if "<!" in text else ET',
            "test_only_xml_that_declares_nothing_is_read",
            "root = ET",
        ),
        "An access key whose id is a part of another's counts as the one that people gave.": Guard(
            'rf"(?<![\\w+/]){hint}(?![\\w+/])"',
            "test_the_row_of_a_pair_is_the_one_whose_whole_id_stands_in_it",
            "hint",
        ),
        "A credential that a provider never saw used counts as unused.": Guard(
            "return Usage(is_known=last is not None,",
            "test_a_use_since_then_is_seen_and_one_that_was_never_used_is_unknown",
            "return Usage(is_known=True,",
        ),
        "A report without any use of a credential counts as no use of it.": Guard(
            "return Usage(is_known=bool(used),",
            "test_figures_of_use_that_show_late_are_not_taken_for_no_use",
            "return Usage(is_known=True,",
        ),
        "A provider that is busy or broken counts as one that refuses a secret.": Guard(
            "            if error.status == httpx.codes.UNAUTHORIZED:\n                return False",
            "test_only_a_401_says_that_a_secret_does_not_work",
            "            if error.status:\n                return False",
        ),
        "An admin key of a provider is taken as a new secret.": Guard(
            "*callers, *admins, ",
            "test_every_setting_that_is_secret_by_its_name_is_hidden_by_pydantic_and_one_of_the_secrets",
            "*callers, ",
        ),
        "Somebody in between answers in the name of AISIX, and gets the secret.": Guard(
            "return httpx.create_ssl_context()",
            "test_what_the_clients_share_verifies_certificates_and_names",
            "return httpx.create_ssl_context(verify=False)",
        ),
        "An id like `../provider_keys/7` in an answer of AISIX leads a delete elsewhere.": Guard(
            'can carry.")\n    return "".join(f"/{quote(part, safe=\'\')}"',
            "test_an_id_is_one_part_of_an_address_whatever_it_holds",
            'can carry.")\n    return "".join(f"/{part}"',
        ),
    },
    "A secret that the provider makes": {
        "The clean-up deletes at the provider the credential that AISIX is about to get.": Guard(
            "return mint == present(rotation) and not (mint.lost or is_over)",
            "test_what_is_refused_at_its_own_provider_is_deleted_and_another_one_made_on_request",
            "return False",
        ),
        "The clean-up deletes at the provider a credential whose key AISIX still has.": Guard(
            "    if wait := await _holds(rotation, mint, world):\n        return noted(rotation, wait)\n",
            "test_a_credential_whose_key_stays_in_aisix_is_left_to_people",
            "",
        ),
        "A provider whose answer was lost is asked for a second credential of the same name.": Guard(
            "if not _is_mine(mint.sent, rotation, world):",
            "test_no_plug_leaves_a_credential_behind_or_takes_one_that_is_used",
        ),
    },
    "Revoking at the provider": {
        "A credential that another key in AISIX has too is disabled.": Guard(
            " or await world.owners.is_shared(rotation, there.row.id):",
            "test_what_speaks_against_it_stops_it_before_the_call_and_people_hear_of_it",
            ":",
        ),
        "A credential that somebody has used since the cut-over is disabled.": Guard(
            "        if any(doubt not in flags for flags in allowed):\n            yield SAID[doubt]\n",
            "test_what_speaks_against_it_stops_it_before_the_call_and_people_hear_of_it",
            "        pass\n",
        ),
        "What an approver asked for is done after they have left.": Guard(
            "if why := why or await _unapproved(rotation, there, world):",
            "test_what_speaks_against_it_stops_it_before_the_call_and_people_hear_of_it",
            "if why:",
        ),
        "An exposed key is disabled while a model at the gateway still uses it.": Guard(
            "why = revoking.needed(rotation) or await _in_the_gateway(rotation, world)",
            "test_no_exposed_key_is_disabled_that_something_at_the_gateway_uses_or_may_use_unseen",
            "why = revoking.needed(rotation)",
        ),
        "A model goes back to a key that is disabled at its provider.": Guard(
            "        row = await _enabled(rotation, task.there, provider, world)\n    except Uncertain:",
            "test_no_model_goes_back_to_a_key_before_it_is_enabled_again",
            "        row = task.there.row\n    except Uncertain:",
        ),
        "The credential that stays in use is chosen as the old one.": Guard(
            "        and not (kept and row.id == kept.id)\n",
            "test_what_stays_in_use_or_is_younger_than_the_request_is_not_offered",
            "",
        ),
        "What somebody enabled again meanwhile is deleted all the same.": Guard(
            "        if row.status is Status.ACTIVE and there.disabled_at:\n",
            "test_somebody_who_enables_it_meanwhile_is_not_overruled",
            "        if False:\n",
        ),
        "One answer that it is gone ends the task.": Guard(
            "READS, BETWEEN_READS = 3,",
            "test_it_is_disabled_and_after_the_grace_deleted_and_then_read_until_it_is_gone_for_sure",
            "READS, BETWEEN_READS = 1,",
        ),
    },
}

GUARDS = [guard._replace(prevents=prevents) for part in TABLE.values() for prevents, guard in part.items()]
