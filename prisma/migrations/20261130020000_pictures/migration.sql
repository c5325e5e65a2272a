ALTER TABLE "attachments" ADD COLUMN "avatar_of" UUID, ADD COLUMN "image_of" UUID;
-- Few attachments are pictures of users and groups.
CREATE INDEX "attachments_avatar_of_idx" ON "attachments"("avatar_of") WHERE "avatar_of" IS NOT NULL;
CREATE INDEX "attachments_image_of_idx" ON "attachments"("image_of") WHERE "image_of" IS NOT NULL;
