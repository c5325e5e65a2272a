-- Of a part whose connection was cut, the bytes that have arrived do not have to be sent again. Null: it is complete.
ALTER TABLE "attachment_parts" ADD COLUMN "received_bytes" INTEGER;
