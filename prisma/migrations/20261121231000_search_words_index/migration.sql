-- Here, and not with what has taken its place: nodes of before search by it until that is done, and whoever changes people
-- and waits for it would then be waited for.
DROP INDEX "users_search_words_idx";
