"""Secret values taken out of texts: `redactor` over `forms` over `views`."""
