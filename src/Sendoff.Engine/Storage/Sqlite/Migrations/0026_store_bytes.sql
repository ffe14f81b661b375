-- The bytes of the sealed values of a store, kept by triggers like its number of keys.
ALTER TABLE stores ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE stores SET bytes = (SELECT coalesce(sum(length(value)), 0) FROM store_values WHERE store_id = stores.id);
DROP TRIGGER store_values_added;
DROP TRIGGER store_values_removed;
CREATE TRIGGER store_values_added AFTER INSERT ON store_values BEGIN
    UPDATE stores SET keys = keys + 1, bytes = bytes + length(NEW.value) WHERE id = NEW.store_id;
END;
CREATE TRIGGER store_values_removed AFTER DELETE ON store_values BEGIN
    UPDATE stores SET keys = keys - 1, bytes = bytes - length(OLD.value) WHERE id = OLD.store_id;
END;
CREATE TRIGGER store_values_changed AFTER UPDATE OF value ON store_values BEGIN
    UPDATE stores SET bytes = bytes + length(NEW.value) - length(OLD.value) WHERE id = NEW.store_id;
END;
