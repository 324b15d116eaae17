/* BCC includes this; it needs nothing from it. */
