-- CreateTable
CREATE TABLE "erasures" (
    "user_id" UUID NOT NULL,
    "claimed_until" TIMESTAMPTZ(3) NOT NULL DEFAULT '-infinity',

    CONSTRAINT "erasures_pkey" PRIMARY KEY ("user_id")
);

-- AddForeignKey
ALTER TABLE "erasures" ADD CONSTRAINT "erasures_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;
